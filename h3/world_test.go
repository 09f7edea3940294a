package h3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/h3"
	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testca"
)

// A world is a set of sites, the authorities behind them, and a server.
//
//	open.example           shares a certificate with
//	second.example         the same site
//	admin.example          client authentication required
//	member.example         client authentication optional
//	solo.example           connections of its own
//	elsewhere.example      served on another listener
//	unknown.example        stands in the certificate and is no site
//	apart.example          another certificate
type world struct {
	ca, staff *testca.CA
	config    usher.Config
	guard     *usher.Guard
	reasons   *reasons
	server    *h3.Server
	addr      string
	served    chan error
}

const shared = "open.example second.example admin.example member.example solo.example elsewhere.example unknown.example"

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{ca: testca.New(t), staff: testca.New(t), reasons: new(reasons)}
	cert := w.ca.Server(t, strings.Fields(shared)...)
	staff := []*x509.Certificate{w.staff.Root()}
	site := func(s usher.Site) usher.Site {
		if s.Certificates == nil {
			s.Certificates = []tls.Certificate{cert}
		}
		if s.ClientAuth != usher.None {
			s.ClientCAs = staff
		}
		return s
	}
	w.config = usher.Config{
		Logger: slog.New(w.reasons),
		Listeners: []usher.Listener{
			{Name: "public", Ports: []uint16{443}},
			{Name: "private", Ports: []uint16{8443}},
		},
		Sites: []usher.Site{
			site(usher.Site{Name: "open", Hosts: []string{"open.example", "second.example"}}),
			site(usher.Site{Name: "admin", Hosts: []string{"admin.example"}, ClientAuth: usher.Require}),
			site(usher.Site{Name: "member", Hosts: []string{"member.example"}, ClientAuth: usher.Optional}),
			site(usher.Site{Name: "solo", Hosts: []string{"solo.example"}, OwnConnections: true}),
			site(usher.Site{Name: "elsewhere", Hosts: []string{"elsewhere.example"}, Listeners: []string{"private"}}),
			site(usher.Site{Name: "apart", Hosts: []string{"apart.example"}, Certificates: []tls.Certificate{w.ca.Server(t, "apart.example")}}),
		},
	}
	w.server = &h3.Server{Listener: "public", Handler: http.HandlerFunc(answer)}
	w.server.SetFarewell(10 * time.Millisecond) // package rawh3 leaves closing to the server
	return w
}

// answer says what the request came as. Nothing of it may be seen where a request is refused.
func answer(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Alt-Svc", `h3=":443"`)
	fmt.Fprintf(w, "served %s %s%s", r.Method, r.Host, r.URL)
}

// serve starts w.server on a socket of its own.
func (w *world) serve(t testing.TB) *world {
	t.Helper()
	if w.guard == nil {
		guard, err := usher.New(w.config)
		if err != nil {
			t.Fatal(err)
		}
		w.guard = guard
	}
	w.server.Guard = w.guard
	pc := listen(t)
	w.addr = pc.LocalAddr().String()
	w.served = make(chan error, 1)
	go func() { w.served <- w.server.Serve(pc) }()
	t.Cleanup(func() {
		w.server.Close()
		pc.Close()
	})
	return w
}

func listen(t testing.TB) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// tls returns a client's configuration for a server name.
func (w *world) tls(sni string) *tls.Config {
	return &tls.Config{ServerName: sni, RootCAs: w.ca.Pool()}
}

// withCert is tls with a client certificate.
func (w *world) withCert(t testing.TB, sni string) *tls.Config {
	c := w.tls(sni)
	c.Certificates = []tls.Certificate{w.staff.Client(t, "somebody")}
	return c
}

// dial makes a connection that must succeed.
func (w *world) dial(t testing.TB, config *tls.Config) *rawh3.Conn {
	t.Helper()
	c, err := rawh3.Dial(t.Context(), w.addr, config, nil)
	if err != nil {
		t.Fatalf("dial with SNI %q: %v", config.ServerName, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// patience is what a test waits for before it counts as failed.
const patience = 20 * time.Second

// do sends a request that must be answered.
func do(t testing.TB, c *rawh3.Conn, fields []rawh3.Field) *rawh3.Response {
	t.Helper()
	res, err := try(t, c, fields)
	if err != nil {
		t.Fatalf("%v: %v", fields, err)
	}
	return res
}

func try(t testing.TB, c *rawh3.Conn, fields []rawh3.Field) (*rawh3.Response, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Do(ctx, fields, "")
}

// wantStatus sends a GET and compares the status.
func wantStatus(t testing.TB, c *rawh3.Conn, host string, status int) *rawh3.Response {
	t.Helper()
	res := do(t, c, rawh3.Get(host, "/"))
	if res.Status != status {
		t.Errorf("GET %s: %d %q, want %d", host, res.Status, res.Body, status)
	}
	return res
}

// wantCode compares the code that a stream was reset with, or the connection closed.
func wantCode(t testing.TB, err error, code uint64) {
	t.Helper()
	if e, ok := errors.AsType[*quic.StreamError](err); ok && uint64(e.ErrorCode) == code {
		return
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && uint64(e.ErrorCode) == code {
		return
	}
	t.Errorf("error %v, want code %#x", err, code)
}

// wantGoAway waits for the server to end the connection: GOAWAY first, then close with H3_NO_ERROR.
func wantGoAway(t testing.TB, c *rawh3.Conn) {
	t.Helper()
	wantClosed(t, c)
	<-c.Ended() // what came is read in a goroutine of its own
	select {
	case <-c.GoAway():
	default:
		t.Fatalf("connection closed without GOAWAY: %v", context.Cause(c.QUIC.Context()))
	}
}

func wantClosed(t testing.TB, c *rawh3.Conn) {
	t.Helper()
	select {
	case <-c.QUIC.Context().Done():
		wantCode(t, context.Cause(c.QUIC.Context()), rawh3.NoError)
	case <-time.After(patience):
		t.Fatal("the connection was not closed")
	}
}

// wantOpen sees that a connection is not about to end.
func wantOpen(t testing.TB, c *rawh3.Conn) {
	t.Helper()
	select {
	case <-c.GoAway():
		t.Error("GOAWAY on a connection that others can use")
	case <-c.QUIC.Context().Done():
		t.Errorf("connection closed: %v", context.Cause(c.QUIC.Context()))
	case <-time.After(200 * time.Millisecond):
	}
}

// reasons is a slog.Handler that keeps the reasons which the guard logs.
type reasons struct {
	mu   sync.Mutex
	list []string
}

func (l *reasons) Enabled(context.Context, slog.Level) bool { return true }
func (l *reasons) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *reasons) WithGroup(string) slog.Handler            { return l }

func (l *reasons) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			l.list = append(l.list, a.Value.String())
		}
		return a.Key != "reason"
	})
	return nil
}

// take returns what was logged since the last time.
func (l *reasons) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	return list
}

// wantNoLeak waits until no more goroutines run the named packages' code than did before.
func wantNoLeak(t testing.TB) {
	t.Helper()
	var stacks []string
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		stacks = slices.DeleteFunc(strings.Split(string(buf), "\n\n"), func(s string) bool {
			return !strings.Contains(s, "quic-go") && !strings.Contains(s, "usher/h3.")
		})
		if len(stacks) == 0 {
			return
		}
	}
	t.Errorf("%d goroutines are left:\n%s", len(stacks), strings.Join(stacks, "\n\n"))
}
