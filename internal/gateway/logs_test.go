package gateway

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-http/usher/internal/accesslog"
	"github.com/usher-http/usher/internal/gateway/config"
)

var someLine = accesslog.Line{
	Listener: "public", Proto: "h2", Remote: "192.0.2.17:50312", Method: "GET", Authority: "www.shop.example.com",
	Path: "/products/4711/images/front-view.webp", Status: 200, Bytes: 48213, Duration: 1234567 * time.Nanosecond, Verdict: "serve",
	Reason: "ok", Site: "shop", SNI: "www.shop.example.com", HandshakeSite: "shop", TLS: "1.3", Upstream: "127.0.0.1:9000",
}

// The access log goes by the settings by which the logger goes.
func TestAccessLogFollowsTheSettings(t *testing.T) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for _, format := range []string{"json", "text"} {
		for _, lowest := range levels {
			c := config.Log{Format: format, Level: lowest, Access: true}
			var w writes
			var o output
			o.replace(&w, nil)
			logger, access := newLogger(&o, c), newAccessLog(&o, c)
			for _, level := range levels {
				if have, want := access.enabled(level), logger.Enabled(context.Background(), level); have != want {
					t.Errorf("%s from %s on: %s enabled %v, want %v", format, lowest, level, have, want)
				}
			}
			access.write(time.Now(), slog.LevelError, &accesslog.Line{Path: `/"`})
			logger.Error("request")
			o.close()
			begin := map[string]string{"json": `{"time":"`, "text": `time=2`}[format]
			if len(w.list) != 2 || !strings.HasPrefix(w.list[0], begin) || !strings.HasPrefix(w.list[1], begin) {
				t.Errorf("%s: written %q", format, w.list)
			}
		}
	}
	if newAccessLog(new(output), config.Log{}).enabled(slog.LevelError) {
		t.Error("an access log that is off is enabled")
	}
}

func TestLevelsThatDoNotWait(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelInfo: 1, slog.LevelWarn: 2, slog.LevelError: 2} {
		synctest.Test(t, func(t *testing.T) {
			var w writes
			var o output
			o.replace(&w, nil)
			a := newAccessLog(&o, config.Log{Format: "json", Access: true})
			a.write(time.Now(), slog.LevelInfo, &someLine) // after a pause: at once
			if a.write(time.Now(), level, &someLine); len(w.list) != want {
				t.Errorf("%s: %d writes, want %d", level, len(w.list), want)
			}
		})
	}
}

// Lines of any length, one after the other through the same buffers.
func TestAccessLogWritesWholeLines(t *testing.T) {
	var w writes
	var o output
	o.replace(&w, nil)
	a := newAccessLog(&o, config.Log{Format: "json", Access: true})
	var want bytes.Buffer
	at := time.Date(2026, 7, 14, 9, 5, 3, 123456789, time.UTC)
	for _, n := range []int{10, 1000, 5, 20000, 0, 9000, 100000, 3} {
		l := someLine
		l.Path = "/" + strings.Repeat("p", n)
		a.write(at, slog.LevelInfo, &l)
		want.Write(accesslog.AppendJSON(nil, at, slog.LevelInfo, &l))
	}
	o.close()
	if have := strings.Join(w.list, ""); have != want.String() {
		t.Errorf("%d bytes written, want %d", len(have), want.Len())
	}
}

func TestWritersInTheProcessGetLines(t *testing.T) {
	var w writes
	target, err := openTarget("stderr", &w)
	if err != nil || target.closer() != nil {
		t.Fatal(target.closer(), err)
	}
	if n, err := target.Write([]byte("a\nb\nno newline")); n != 14 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.want(t, "a\n", "b\n", "no newline")
	w.closed = true
	if n, err := target.Write([]byte("a\nb\n")); n != 0 || err != os.ErrClosed {
		t.Errorf("%d, %v, want the error", n, err)
	}
}

// Nothing that was logged is lost when the gateway ends.
func TestShutdownWritesTheLog(t *testing.T) {
	const requests = 200
	f := newFolder(t)
	f.write(t, "log/usher.log", "")
	g, err := Start(t.Context(), f.load(t, basic+"log: {output: ./log/usher.log}\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := (&running{g, f, nil}).client(t, "h2", "tls", "a.test.example")
	for range requests {
		c.get(t, "a.test.example", "/").want(t, 200, "")
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(mustOpen(t, f.dir+"/log/usher.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte(`"status":200`)); n != requests {
		t.Errorf("%d lines for %d requests", n, requests)
	}
}

func TestAccessLogAllocatesNothing(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var o output
		o.replace(io.Discard, nil)
		a := newAccessLog(&o, config.Log{Format: format, Access: true})
		for range 1000 {
			a.write(time.Now(), slog.LevelInfo, &someLine)
		}
		if n := testing.AllocsPerRun(5000, func() { a.write(time.Now(), slog.LevelInfo, &someLine) }); n != 0 {
			t.Errorf("%s: %v allocations a line", format, n)
		}
	}
}

func BenchmarkAccessLog(b *testing.B) {
	f, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, format := range []string{"json", "text"} {
		b.Run(format, func(b *testing.B) {
			var o output
			o.replace(f, nil)
			a := newAccessLog(&o, config.Log{Format: format, Access: true})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a.write(time.Now(), slog.LevelInfo, &someLine)
				}
			})
			o.close()
		})
	}
}
