package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
)

// An h3wire is a connection of HTTP/3 whose client reads nothing unless it is told to.
type h3wire struct {
	*rawh3.Conn
	at string
}

// deaf connects a client that lets the gateway send almost nothing on a stream until it reads there.
func (r *running) deaf(t *testing.T) *h3wire {
	t.Helper()
	c, err := rawh3.Dial(t.Context(), r.addr(t, "tls"), &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example"},
		&quic.Config{InitialStreamReceiveWindow: 1 << 10, KeepAlivePeriod: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, port, _ := net.SplitHostPort(r.addr(t, "tls"))
	return &h3wire{c, "a.test.example:" + port}
}

func (w *h3wire) ask(t *testing.T, path string) *rawh3.Stream {
	t.Helper()
	s, err := w.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Headers(rawh3.Get(w.at, path)), s.End()); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantRead(t *testing.T, s *rawh3.Stream, status int, content string) {
	t.Helper()
	res, err := s.Response()
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != status || string(res.Body) != content {
		t.Errorf("%d with %d bytes, want %d with %d", res.Status, len(res.Body), status, len(content))
	}
}

// stuck is how many answers wait to be taken: in a write, or where their upstream has paused, in a flush.
func stuck() int {
	return goroutinesIn("(*httpExchange).Write(", "") + goroutinesIn("(*httpExchange).Flush(", "")
}

// overH3 is mixed with HTTP/3 and files in it.
func overH3(t *testing.T, upstream string) (f *folder, text string) {
	f = newFolder(t)
	f.write(t, "public/file", long)
	text = strings.Replace(mixed(upstream), "protocols: [h1, h2]", "protocols: [h1, h2, h3]", 1)
	return f, strings.Replace(text, "      - {path: /fixed,", "      - {path: /files, files: ./public}\n      - {path: /fixed,", 1)
}

// long is more than a buffer.
var long = big[:3*largeBuffer]

func unreadServer(t *testing.T) string {
	return newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			io.WriteString(w, "small")
			return
		}
		io.WriteString(w, long)
	}).URL
}

// Answers over HTTP/3 that nobody takes wait in buffers that are bounded on each connection, and more so when all connections together
// have too many. Who takes answers is served all the same, and what has waited comes whole.
func TestH3Unsent(t *testing.T) {
	for _, test := range []struct {
		name        string
		others      int   // what others keep
		least, most int64 // what a connection has of buffers: one that is let go of for a moment may come back as a little one
	}{
		{"few", 0, 15*largeBuffer + 14*littleBuffer, 16*largeBuffer + 14*littleBuffer},
		{"too many", lessUnsent + 1, 30 * littleBuffer, largeBuffer + 29*littleBuffer},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, text := overH3(t, unreadServer(t))
			r := f.start(t, text)
			r.unsent.Add(test.others)
			kept := func() int64 { return r.unsent.Kept() - int64(test.others) }
			deaf := r.deaf(t)
			var waiting []*rawh3.Stream
			for range 15 {
				waiting = append(waiting, deaf.ask(t, "/big"), deaf.ask(t, "/files/file"))
			}
			eventually(t, "all answers wait", func() bool { return stuck() == len(waiting) })
			if got := kept(); got > test.most || got < test.least {
				t.Errorf("%d bytes are in buffers, want %d to %d", got, test.least, test.most)
			}
			other := r.client(t, "h3", "tls", "a.test.example")
			for _, path := range []string{"/big", "/files/file", "/big"} {
				if a := other.get(t, "a.test.example", path); a.text != long {
					t.Errorf("%s: %d with %d bytes", path, a.StatusCode, len(a.text))
				}
			}
			for _, s := range waiting {
				wantRead(t, s, 200, long)
			}
			eventually(t, "nothing waits", func() bool { return kept() == 0 })
		})
	}
}

// A client that takes nothing is not answered more where all keep far too much, as over HTTP/2.
func TestH3UnsentFull(t *testing.T) {
	f, text := overH3(t, unreadServer(t))
	r := f.start(t, text)
	deaf := r.deaf(t)
	s := deaf.ask(t, "/big")
	eventually(t, "the answer waits", func() bool { return stuck() == 1 })
	r.unsent.Add(mostUnsent)
	t.Cleanup(func() { r.unsent.Add(-mostUnsent) })
	for _, path := range []string{"/small", "/fixed"} {
		wantRead(t, deaf.ask(t, path), 503, "503 Service Unavailable\n")
	}
	other := r.client(t, "h3", "tls", "a.test.example")
	for range 3 {
		other.get(t, "a.test.example", "/small").want(t, 200, "small")
		other.get(t, "a.test.example", "/fixed").want(t, 200, "fixed\n")
	}
	wantRead(t, s, 200, long)
}

// An answer whose upstream pauses counts as one that is not taken for as long as what has come of it is not.
func TestH3UnsentWhileTheUpstreamPauses(t *testing.T) {
	let := make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, big[:3000])
		http.NewResponseController(w).Flush()
		select {
		case <-let:
		case <-r.Context().Done():
		}
	})
	f, text := overH3(t, up.URL)
	r := f.start(t, text)
	s := r.deaf(t).ask(t, "/pause")
	eventually(t, "the answer waits", func() bool { return goroutinesIn("(*httpExchange).Flush(", "") == 1 })
	if r.unsent.Kept() == 0 {
		t.Error("nothing is counted")
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		wantRead(t, s, 200, big[:3000])
	}()
	eventually(t, "nothing waits", func() bool { return r.unsent.Kept() == 0 && stuck() == 0 })
	close(let)
	wait(t, "the answer", read)
}

// timeouts.idle ends an answer that nobody takes, also where it is so small that it is written when the action is done with it, and
// where it is written because the upstream pauses.
func TestH3NobodyTakesLittle(t *testing.T) {
	paused := make(chan context.Context, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, big[:3000])
		http.NewResponseController(w).Flush()
		paused <- r.Context()
		<-r.Context().Done()
	})
	f, text := overH3(t, up.URL)
	f.write(t, "public/little", big[:3000])
	r := f.start(t, text+"timeouts: {idle: 1s}\n")
	deaf := r.deaf(t)
	s := deaf.ask(t, "/files/little")
	eventually(t, "the answer waits", func() bool { return finishing() })
	eventually(t, "it does not wait any more", func() bool { return !finishing() })
	_, err := s.Response()
	if _, ok := errors.AsType[*quic.StreamError](err); !ok {
		t.Errorf("the answer ends with %v", err)
	}
	deaf.ask(t, "/pause")
	ctx := wait(t, "the request", paused)
	wait(t, "the end of a request whose answer is not taken", ctx.Done())
}

// finishing reports whether quic-go writes what is left of an answer when its handler has returned.
func finishing() bool {
	buf := make([]byte, 1<<20)
	return strings.Contains(string(buf[:runtime.Stack(buf, true)]), "http3.(*responseWriter).Finish(")
}
