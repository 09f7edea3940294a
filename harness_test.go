package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh2"
)

const patience = 20 * time.Second // what a test waits for before it counts as failed

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "served "+r.Host)
})

// newServer is an http.Server with the guard's hooks, whose own log stays out of the test's output.
func newServer(g *usher.Guard, next http.Handler) *http.Server {
	return &http.Server{Handler: g.Handler(next), ErrorLog: log.New(io.Discard, "", 0)}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// background runs a server until the end of the test.
func background(t testing.TB, srv *http.Server, serve func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("the server ended with %v", err)
		}
	})
}

// serveTLS serves with guard.ServeTLS and returns the address.
func serveTLS(t testing.TB, g *usher.Guard, srv *http.Server) string {
	t.Helper()
	l := listen(t)
	background(t, srv, func() error { return g.ServeTLS(srv, l, "", "") })
	return l.Addr().String()
}

// serveSites serves sites with guard.ServeTLS.
func serveSites(t testing.TB, c usher.Config) (*usher.Guard, string) {
	t.Helper()
	g := newGuard(t, c)
	return g, serveTLS(t, g, newServer(g, echo))
}

func newGuard(t testing.TB, c usher.Config) *usher.Guard {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	g, err := usher.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A logbook is what a guard logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logbook) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

func (b *logbook) entries(t testing.TB) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []map[string]any
	for line := range bytes.Lines(b.text.Bytes()) {
		var e map[string]any
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// A caller opens connections.
type caller struct {
	addr  string
	sni   string // empty: none is sent
	proto string // "h1" or "h2"
	tls   tls.Config
	from  string // local address
}

// A line is an open connection.
type line struct {
	t     testing.TB
	conn  *tls.Conn
	h2    *rawh2.Conn
	br    *bufio.Reader
	proto string
}

// An answer is what came back, whatever the protocol.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool // the server announces the end of the connection (HTTP/1.1)
	reset  bool
}

// dial opens a TLS connection that offers the given protocols.
func (c *caller) dial(offer ...string) (*tls.Conn, error) {
	config := c.tls.Clone()
	config.InsecureSkipVerify = true // SNI and host differ on purpose
	config.ServerName = c.sni
	config.NextProtos = offer
	d := net.Dialer{Timeout: patience}
	if c.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.from)}
	}
	nc, err := d.Dial("tcp", c.addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	tc := tls.Client(nc, config)
	if err := tc.HandshakeContext(context.Background()); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

func (c *caller) open(t testing.TB) *line {
	t.Helper()
	offer := "http/1.1"
	if c.proto == "h2" {
		offer = "h2"
	}
	tc, err := c.dial(offer)
	if err != nil {
		t.Fatalf("SNI %q, %s: %v", c.sni, c.proto, err)
	}
	t.Cleanup(func() { tc.Close() })
	return onto(t, tc)
}

// onto speaks the protocol that was negotiated on a connection.
func onto(t testing.TB, tc *tls.Conn) *line {
	t.Helper()
	l := &line{t: t, conn: tc, proto: "h1"}
	if tc.ConnectionState().NegotiatedProtocol == "h2" {
		l.proto = "h2"
		var err error
		if l.h2, err = rawh2.New(tc); err != nil {
			t.Fatal(err)
		}
		return l
	}
	l.br = bufio.NewReader(tc)
	return l
}

// renew gives what is asked next all of a test's patience: whatever a connection has carried before, on a slow machine that took its time.
func (l *line) renew() {
	if l.conn != nil {
		l.conn.SetDeadline(time.Now().Add(patience))
	}
}

// get asks for https://authority/ with further fields as name, value, ...
func (l *line) get(authority string, fields ...string) answer {
	l.t.Helper()
	return l.ask("GET", authority, "", fields...)
}

func (l *line) ask(method, authority, body string, fields ...string) answer {
	l.t.Helper()
	if l.h2 != nil {
		list := []string{":method", method, ":scheme", "https", ":authority", authority, ":path", "/"}
		for i, f := range fields {
			if i%2 == 0 {
				f = strings.ToLower(f)
			}
			list = append(list, f)
		}
		var b []byte
		if body != "" {
			b = []byte(body)
		}
		return l.send(b, list...)
	}
	var s strings.Builder
	s.WriteString(method + " / HTTP/1.1\r\nHost: " + authority + "\r\n")
	for i := 0; i+1 < len(fields); i += 2 {
		s.WriteString(fields[i] + ": " + fields[i+1] + "\r\n")
	}
	if body != "" {
		s.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	return l.text(method, s.String()+"\r\n"+body)
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// send sends the fields of an HTTP/2 request.
func (l *line) send(body []byte, fields ...string) answer {
	l.t.Helper()
	l.renew()
	r, err := l.h2.Do(rawh2.Fields(fields...), body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer{status: r.Status, header: r.Header, body: string(r.Body), reset: r.Reset != nil}
}

// text sends the bytes of an HTTP/1.1 request.
func (l *line) text(method, raw string) answer {
	l.t.Helper()
	return l.exchange(method, raw, l.conn)
}

func (l *line) exchange(method, raw string, to io.Writer) answer {
	l.t.Helper()
	l.renew()
	if _, err := io.WriteString(to, raw); err != nil {
		l.t.Fatal(err)
	}
	r, err := http.ReadResponse(l.br, &http.Request{Method: method})
	if err != nil {
		l.t.Fatalf("after %q: %v", raw, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer{status: r.StatusCode, header: r.Header, body: string(body), close: r.Close}
}

// ended reports whether the server ends the connection after what it answered: by closing it (HTTP/1.1), by GOAWAY. What it does is seen
// by what it says next, so that nothing depends on how soon it does it.
func (l *line) ended() bool {
	l.t.Helper()
	l.renew()
	if l.h2 != nil {
		// GOAWAY is asked for before the answer goes out, but x/net's loop takes what waits for it in any order.
		for range 20 {
			if err := l.h2.Ping(); err != nil || l.h2.GoneAway() != nil {
				return true
			}
		}
		return false
	}
	// A host that nobody has: the answer to that leaves the connection as it is.
	io.WriteString(l.conn, "GET / HTTP/1.1\r\nHost: nobody.invalid\r\n\r\n")
	r, err := http.ReadResponse(l.br, nil)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		l.t.Fatalf("neither an answer nor the end of the connection: %v", err)
	}
	if err != nil {
		return true
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Close {
		l.t.Fatalf("the connection ends with an answer that ends none: %v", err)
	}
	return false
}

// want checks status and, for the guard's refusals, the reason that the log has.
func (a answer) want(t testing.TB, what string, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: status %d (reset %t), want %d; body %q", what, a.status, a.reset, status, a.body)
	}
}

// decisions asks a guard's verdict inside of the server: the reason comes back in a field, which refusals never have.
func withReason(g *usher.Guard, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := g.Decide(r)
		guarded := g.Handler(next)
		guarded.ServeHTTP(reasonWriter{w, v.Reason, usher.Observed(v, g.Conn(r))}, r)
	})
}

type reasonWriter struct {
	http.ResponseWriter
	reason, observed authority.Reason
}

func (w reasonWriter) WriteHeader(status int) {
	w.Header().Set("X-Reason", w.reason.String())
	w.Header().Set("X-Observed", w.observed.String())
	w.ResponseWriter.WriteHeader(status)
}

func (w reasonWriter) Write(p []byte) (int, error) {
	if w.Header().Get("X-Reason") == "" {
		w.Header().Set("X-Reason", w.reason.String())
		w.Header().Set("X-Observed", w.observed.String())
	}
	return w.ResponseWriter.Write(p)
}

func (w reasonWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (a answer) reason() string { return a.header.Get("X-Reason") }

// wantReason checks status and reason of an answer through withReason.
func (a answer) wantReason(t testing.TB, what string, status int, reason authority.Reason) {
	t.Helper()
	if a.status != status || a.reason() != reason.String() {
		t.Errorf("%s: %d %s (reset %t), want %d %s", what, a.status, a.reason(), a.reset, status, reason)
	}
}
