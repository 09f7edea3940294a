package usher_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/usher-http/usher"
)

// prepared returns a request as it comes from a connection for a.test, and keeps it in flight until the end.
func prepared(b testing.TB, g *usher.Guard, base *tls.Config, proto, host string) *http.Request {
	b.Helper()
	requests, release := make(chan *http.Request), make(chan struct{})
	srv := newServer(g, echo)
	srv.TLSConfig = base
	srv.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- r
		<-release
	})
	l := (&caller{addr: serveTLS(b, g, srv), sni: "a.test", proto: proto}).open(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.get(host)
	}()
	b.Cleanup(func() {
		close(release)
		<-done
	})
	return <-requests
}

// nowhere is a ResponseWriter that costs nothing.
type nowhere http.Header

func (n nowhere) Header() http.Header         { return http.Header(n) }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// BenchmarkGuard is what the guard costs a request: "without" is to be taken away from the others.
func BenchmarkGuard(b *testing.B) {
	w := newTown(b)
	base := &tls.Config{Certificates: []tls.Certificate{w.shared}}
	rule := newGuard(b, usher.Config{})
	sites := newGuard(b, usher.Config{Sites: w.sites(b)})
	for _, c := range []struct {
		name, host string
		guard      *usher.Guard
	}{
		{"rule", "a.test", rule},
		{"sites", "a.test", sites},
		{"refused", "cert.test", sites},
	} {
		for _, proto := range protos {
			r := prepared(b, c.guard, base, proto, c.host)
			h := c.guard.Handler(nothing)
			b.Run(c.name+"/"+proto, func(b *testing.B) { run(b, h, r) })
			if c.name == "rule" {
				b.Run("without/"+proto, func(b *testing.B) { run(b, nothing, r) })
			}
		}
	}
}

func run(b *testing.B, h http.Handler, r *http.Request) {
	w := nowhere{}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// What is served costs no allocation.
func TestGuardDoesNotAllocate(t *testing.T) {
	w := newTown(t)
	base := &tls.Config{Certificates: []tls.Certificate{w.shared}}
	for name, c := range map[string]usher.Config{"rule": {}, "sites": {Sites: w.sites(t)}} {
		for _, proto := range protos {
			g := newGuard(t, c)
			r := prepared(t, g, base, proto, "a.test")
			h := g.Handler(nothing)
			rw := nowhere{}
			if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(rw, r) }); n != 0 {
				t.Errorf("%s, %s: %v allocations a request", name, proto, n)
			}
		}
	}
}

// BenchmarkHandshake is a full and a resumed TLS 1.3 handshake, both sides.
func BenchmarkHandshake(b *testing.B) {
	w := newTown(b)
	base := &tls.Config{Certificates: []tls.Certificate{w.shared}}
	for name, server := range map[string]*tls.Config{
		"without": base,
		"rule":    newGuard(b, usher.Config{}).TLSConfig(base),
		"sites":   newGuard(b, usher.Config{Sites: w.sites(b)}).TLSConfig(base),
	} {
		for _, resumed := range []bool{false, true} {
			client := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true}
			kind := "/full"
			if resumed {
				client.ClientSessionCache = new(shelf)
				kind = "/resumed"
			}
			b.Run(name+kind, func(b *testing.B) {
				l := listen(b)
				if resumed {
					handshake(b, l, server, client)
				}
				b.ReportAllocs()
				for b.Loop() {
					if handshake(b, l, server, client) != resumed {
						b.Fatal("not as it should be")
					}
				}
			})
		}
	}
}
