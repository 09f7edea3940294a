package accesslog

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// record is the line as a record for slog, which is the oracle of these tests.
func record(t time.Time, level slog.Level, l *Line) slog.Record {
	r := slog.NewRecord(t, level, "request", 0)
	r.AddAttrs(
		slog.String("listener", l.Listener),
		slog.String("proto", l.Proto),
		slog.String("remote", l.Remote),
		slog.String("method", l.Method),
		slog.String("authority", l.Authority),
		slog.String("path", l.Path),
		slog.Int("status", l.Status),
		slog.Int64("bytes", l.Bytes),
		slog.Float64("duration", l.Duration.Seconds()),
		slog.String("verdict", l.Verdict),
		slog.String("reason", l.Reason),
	)
	if l.Site != "" {
		r.AddAttrs(slog.String("site", l.Site))
	}
	if l.TLS != "" {
		r.AddAttrs(slog.String("sni", l.SNI), slog.String("handshake_site", l.HandshakeSite), slog.String("tls", l.TLS),
			slog.Bool("resumed", l.Resumed))
	}
	if l.Upstream != "" {
		r.AddAttrs(slog.String("upstream", l.Upstream))
	}
	if l.Aborted {
		r.AddAttrs(slog.Bool("aborted", true))
	}
	if l.WouldRefuse != "" {
		r.AddAttrs(slog.String("would_refuse", l.WouldRefuse))
	}
	if l.Cure != "" {
		r.AddAttrs(slog.String("cure", l.Cure))
	}
	if l.Error != "" {
		r.AddAttrs(slog.String("error", l.Error))
	}
	return r
}

// formats are the two ways to write a line, each with slog's.
var formats = []struct {
	name    string
	append  func([]byte, time.Time, slog.Level, *Line) []byte
	handler func(*bytes.Buffer) slog.Handler
}{
	{"json", AppendJSON, func(b *bytes.Buffer) slog.Handler {
		return slog.NewJSONHandler(JSONWriter(b), &slog.HandlerOptions{Level: slog.LevelDebug})
	}},
	{"text", AppendText, func(b *bytes.Buffer) slog.Handler {
		return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
	}},
}

// wantAsSlog compares the line in both formats with slog's.
func wantAsSlog(t *testing.T, at time.Time, level slog.Level, l *Line) {
	t.Helper()
	for _, f := range formats {
		var want bytes.Buffer
		if err := f.handler(&want).Handle(context.Background(), record(at, level, l)); err != nil {
			t.Fatal(err)
		}
		have := string(f.append([]byte("before "), at, level, l))
		if have != "before "+want.String() {
			t.Errorf("%s\nhave %s\nwant %s", f.name, have, want.String())
		}
		if n := strings.Count(have, "\n"); n != 1 {
			t.Errorf("%s: %d newlines in one line: %q", f.name, n, have)
		}
	}
}

// served and refused are what most lines are like.
var (
	served = Line{
		Listener: "public", Proto: "h2", Remote: "192.0.2.17:50312", Method: "GET", Authority: "www.shop.example.com",
		Path: "/products/4711/images/front-view.webp", Status: 200, Bytes: 48213, Duration: 1234567 * time.Nanosecond,
		Verdict: "serve", Reason: "ok", Site: "shop", SNI: "www.shop.example.com", HandshakeSite: "shop", TLS: "1.3",
		Upstream: "127.0.0.1:9000",
	}
	refused = Line{
		Listener: "public", Proto: "h3", Remote: "[2001:db8::1]:50312", Method: "GET", Authority: "own.example.com", Path: "/",
		Status: 421, Bytes: 211, Duration: 41 * time.Microsecond, Verdict: "misdirected", Reason: "certificate_mismatch",
		Site: "own", SNI: "www.shop.example.com", HandshakeSite: "shop", TLS: "1.2", Resumed: true,
		Cure: "the certificate of this connection does not cover the host: clients come back on a new connection",
	}
	now = time.Date(2026, 7, 14, 9, 5, 3, 123456789, time.FixedZone("CEST", 2*3600))
)

func TestLinesAsSlog(t *testing.T) {
	for name, l := range map[string]Line{
		"served":    served,
		"refused":   refused,
		"zero":      {},
		"plaintext": {Listener: "plain", Proto: "h1", Status: 308, Verdict: "redirect", Reason: "redirect", Site: "shop"},
		"no SNI":    {TLS: "1.3", Status: 404},
		"unsecured": {SNI: "not written", HandshakeSite: "not written", Resumed: true},
		"observed":  {WouldRefuse: "scheme_mismatch", Cure: "look for a proxy that terminates TLS and keeps the scheme"},
		"aborted":   {Aborted: true, Upstream: "[::1]:9000", Status: 502},
		"malformed": {Proto: "h1", Status: 400, Verdict: "malformed", Reason: "malformed_request", Error: `a field name with the byte '"'`},
		"extremes":  {Status: math.MinInt64, Bytes: math.MinInt64, Duration: math.MinInt64},
		"the other": {Status: math.MaxInt64, Bytes: math.MaxInt64, Duration: math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelInfo + 2, slog.LevelWarn, slog.LevelError, 100} {
				wantAsSlog(t, now, level, &l)
			}
		})
	}
}

// hostile is what clients could forge lines with, or a terminal or a program that reads them could stumble over.
var hostile = []string{
	"", " ", "=", "a=b", `"`, `\`, `\n`, "'", "`", "<script>&amp;</script>", "a\nmsg=forged", "a\r\n{\"msg\":\"forged\"}", "\t", "\x00", "\x01",
	"\x1b[31m", "\x1f", "\x7f", "\x80", "\xff", "a\xffb", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80", "\u2028", "\u2029",
	"\ufffd", "\ufeff", "\u00a0", "\u0085", "\u200b", "\u202e", "\u3000", "bücher.example", "本", "😀", "\U0010ffff", "\U000e0001", "/%0a%22",
	"plain behind \xff", "\xffplain", "ü=", "ü ", "ü\"", "ü\\", "{}", "[]", ",", ":", "true", "null", "1e9", strings.Repeat("ü\x00", 1000),
}

func TestHostileStringsAsSlog(t *testing.T) {
	for _, s := range hostile {
		l := refused
		for _, field := range []*string{
			&l.Listener, &l.Proto, &l.Remote, &l.Method, &l.Authority, &l.Path, &l.Verdict, &l.Reason, &l.Site, &l.SNI, &l.HandshakeSite,
			&l.TLS, &l.Upstream, &l.WouldRefuse, &l.Cure, &l.Error,
		} {
			kept := *field
			*field = s
			wantAsSlog(t, now, slog.LevelInfo, &l)
			*field = kept
		}
	}
}

// Every character by itself, and every byte that is none.
func TestCharactersAsSlog(t *testing.T) {
	for c := range rune(0x3100) {
		wantAsSlog(t, now, slog.LevelInfo, &Line{Path: string(c), Authority: "a" + string(c) + "b"})
	}
	for b := range 256 {
		wantAsSlog(t, now, slog.LevelInfo, &Line{Path: string([]byte{byte(b)}), Authority: string([]byte{'a', byte(b), 'b'})})
	}
}

func TestDurationsAsSlog(t *testing.T) {
	list := []time.Duration{0, 1, -1, math.MaxInt64, math.MinInt64}
	for d := time.Duration(1); d <= 1e18; d *= 10 {
		list = append(list, d-1, d, d+1, 2*d, 5*d, 9*d, -d, -d-1, d+d/2)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		list = append(list, time.Duration(random.Int64N(int64(1)<<(1+random.IntN(62)))))
	}
	for _, d := range list {
		wantAsSlog(t, now, slog.LevelInfo, &Line{Duration: d})
	}
}

func TestTimesAsSlog(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.Local // no zones on this machine
	}
	turn := time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC) // clocks go back in a second
	for _, zone := range []*time.Location{
		time.UTC, time.Local, berlin, time.FixedZone("", 0), time.FixedZone("", 5*3600+1800), time.FixedZone("", -9*3600-1800),
		time.FixedZone("local mean time", 53*60+28), time.FixedZone("", 1), time.FixedZone("", -1), time.FixedZone("far", 101*3600),
	} {
		for _, ns := range []int{0, 1, 10, 999, 1000, 1e6 - 1, 1e6, 5e8, 999499999, 999500000, 999999999, 123456789, 120000000} {
			for _, second := range []time.Time{
				now, turn, turn.Add(time.Second), turn, time.Unix(0, 0), time.Unix(-1, 0), time.Date(0, 1, 2, 0, 0, 0, 0, time.UTC),
				time.Date(9999, 12, 20, 23, 59, 59, 0, time.UTC), {},
			} {
				at := second.Truncate(time.Second).Add(time.Duration(ns)).In(zone)
				wantAsSlog(t, at, slog.LevelInfo, &served)
			}
		}
	}
	wantAsSlog(t, time.Time{}, slog.LevelInfo, &served)
	wantAsSlog(t, time.Now(), slog.LevelInfo, &served)
}

func FuzzAsSlog(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[len(hostile)-1-i], s+" ", 421, int64(i), int64(1)<<(i%63), int64(i)*1e18/7, int64(i), i%3 == 0, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, a, b, c string, status int, bytes, took, at, level int64, resumed, aborted bool) {
		l := Line{
			Listener: a, Proto: b, Remote: c, Method: a + b, Authority: b, Path: a, Status: status, Bytes: bytes,
			Duration: time.Duration(took), Verdict: c + a, Reason: c, Site: a, SNI: b, HandshakeSite: b + c, TLS: c, Resumed: resumed,
			Upstream: b, Aborted: aborted, WouldRefuse: a, Cure: b + a, Error: c + b,
		}
		zone := time.FixedZone("", int(took%86400))
		wantAsSlog(t, time.Unix(0, at).In(zone), slog.Level(int8(level)), &l)
	})
}

func TestNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 4096)
	hostile := refused
	hostile.Path = "/\xff\x00\u2028\"ü"
	for _, f := range formats {
		for _, l := range []*Line{&served, &refused, &hostile} {
			if n := testing.AllocsPerRun(100, func() { buf = f.append(buf[:0], now, slog.LevelInfo, l) }); n != 0 {
				t.Errorf("%s: %v allocations", f.name, n)
			}
		}
	}
}
