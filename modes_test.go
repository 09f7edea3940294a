package usher_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh2"
)

// Observe mode serves what questions 2, 5, 7 and 8 would refuse, says so, and still asks the rest.
func TestObserve(t *testing.T) {
	w := newWorld(t, func(c *usher.Config) { c.Mode = usher.Observe })
	for _, proto := range protos {
		l := (&caller{addr: w.public, sni: "a.test", proto: proto, tls: tls.Config{MaxVersion: tls.VersionTLS12}}).open(t)
		for _, test := range []struct {
			host             string
			status           int
			reason, observed authority.Reason
		}{
			{"a.test", 200, authority.OK, authority.OK},
			{"cert.test", 200, authority.OK, authority.CertificateMismatch},
			{"new.test", 200, authority.OK, authority.TLSVersionMismatch},
			{"own.test", 200, authority.OK, authority.CoalescingRefused},
			{"a..test", 400, authority.MalformedAuthority, authority.OK},
			{"unknown.test", 421, authority.UnknownOrigin, authority.OK},
			{"a.test:9443", 421, authority.WrongListener, authority.OK},
			{"staff.test", 421, authority.ClientAuthMismatch, authority.OK},
			{"maybe.test", 421, authority.ClientAuthMismatch, authority.OK},
		} {
			a := l.get(test.host)
			a.wantReason(t, proto+" "+test.host, test.status, test.reason)
			if got := a.header.Get("X-Observed"); got != test.observed.String() {
				t.Errorf("%s %s: observed %s, want %s", proto, test.host, got, test.observed)
			}
		}
	}
	seen := map[any]bool{}
	for _, e := range w.book.entries(t) {
		if e["msg"] == "usher: request would be refused" {
			seen[e["reason"]] = true
		}
	}
	for _, r := range []string{"certificate_mismatch", "tls_version_mismatch", "coalescing_refused"} {
		if !seen[r] {
			t.Errorf("the log does not say that %s was observed: %v", r, seen)
		}
	}
}

// An http scheme inside TLS is observed, and does not lead past client authentication.
func TestObserveScheme(t *testing.T) {
	w := newWorld(t, func(c *usher.Config) { c.Mode = usher.Observe })
	l := w.open(t, "h2", "a.test")
	ask := func(host string) answer {
		return l.send(nil, ":method", "GET", ":scheme", "http", ":authority", host, ":path", "/")
	}
	a := ask("a.test")
	a.wantReason(t, "h2", 200, authority.OK)
	if got := a.header.Get("X-Observed"); got != "scheme_mismatch" {
		t.Errorf("observed %s", got)
	}
	ask("staff.test").wantReason(t, "h2 http", 421, authority.ClientAuthMismatch)
	for _, scheme := range []string{"http", "HTTP", "ftp", "wss"} {
		w.open(t, "h1", "a.test").text("GET", "GET "+scheme+"://staff.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n").
			wantReason(t, "h1 "+scheme, 421, authority.ClientAuthMismatch)
	}
	// Nor does the plaintext listener.
	for _, host := range []string{"staff.test", "staff.test:443"} {
		if a := w.plainLine(t).text(t, "GET https://"+host+"/ HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status == 200 {
			t.Errorf("https://%s/ in plaintext is served: %s", host, a.body)
		}
	}
}

// Observe mode in a guard without sites.
func TestObserveCertificateRule(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Mode: usher.Observe})
	srv := newServer(g, echo)
	srv.Handler = withReason(g, echo)
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{w.shared}}
	l := (&caller{addr: serveTLS(t, g, srv), sni: "a.test", proto: "h2"}).open(t)
	a := l.get("elsewhere.test")
	a.wantReason(t, "a foreign host", 200, authority.OK)
	if got := a.header.Get("X-Observed"); got != "certificate_mismatch" {
		t.Errorf("observed %s", got)
	}
}

// The client's certificate is shown to the sites that asked for it alone.
func TestCertificateIsHidden(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	srv := newServer(g, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !r.TLS.HandshakeComplete || r.TLS.Version == 0 {
			t.Error("the rest of the connection state is gone")
		}
		if len(r.TLS.PeerCertificates) > 0 || len(r.TLS.VerifiedChains) > 0 {
			io.WriteString(rw, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	addr := serveTLS(t, g, srv)
	for _, proto := range protos {
		l := (&caller{addr: addr, sni: "staff.test", proto: proto, tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
		for range 2 {
			for host, want := range map[string]string{"staff.test": "ann", "staff2.test": "ann", "maybe.test": "ann", "a.test": "", "b.test": ""} {
				if a := l.get(host); a.body != want {
					t.Errorf("%s: %s sees %q, want %q", proto, host, a.body, want)
				}
			}
		}
	}
}

// RFC 8470 section 5.2: "A 425 (Too Early) status code indicates that the server is unwilling to risk processing a
// request that might be replayed." Sites with client authentication are.
func TestEarlyData(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	srv := newServer(g, echo)
	srv.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Early") != "" {
			state := *r.TLS
			state.HandshakeComplete = false
			if r.Header.Get("X-Early") == "unverified" {
				state.VerifiedChains = nil
			}
			r.TLS = &state
		}
		withReason(g, echo).ServeHTTP(rw, r)
	})
	addr := serveTLS(t, g, srv)
	for _, proto := range protos {
		l := (&caller{addr: addr, sni: "staff.test", proto: proto, tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
		for range 2 {
			l.get("staff.test", "X-Early", "1").wantReason(t, proto+" staff", 425, authority.EarlyData)
			l.get("a.test", "X-Early", "1").wantReason(t, proto+" a", 200, authority.OK)
			l.get("other.test", "X-Early", "1").wantReason(t, proto+" other", 421, authority.ClientAuthMismatch)
			l.get("staff.test").wantReason(t, proto+" staff, afterwards", 200, authority.OK)
		}
		// What is not complete is not kept as a fact.
		l = (&caller{addr: addr, sni: "staff.test", proto: proto, tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
		l.get("a.test", "X-Early", "unverified").wantReason(t, proto+" a, first", 200, authority.OK)
		l.get("staff.test").wantReason(t, proto+" staff, then", 200, authority.OK)
	}
}

// servePlain serves without TLS and returns the address.
func servePlain(t *testing.T, g *usher.Guard, hook bool) string {
	t.Helper()
	srv := newServer(g, echo)
	srv.Handler = withReason(g, echo)
	if hook {
		srv.ConnContext = g.ConnContext
	}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	l := listen(t)
	background(t, srv, func() error { return srv.Serve(l) })
	return l.Addr().String()
}

// plainGet asks in plaintext over HTTP/1.1 or HTTP/2 with prior knowledge.
func plainGet(t *testing.T, addr, proto, host string) answer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	l := line{t: t, br: bufio.NewReader(nc)}
	if proto == "h1" {
		return l.exchange("GET", "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n", nc)
	}
	if l.h2, err = rawh2.New(nc); err != nil {
		t.Fatal(err)
	}
	return l.send(nil, ":method", "GET", ":scheme", "http", ":authority", host, ":path", "/")
}

// Behind a TLS terminator nothing can be known: the guard refuses to be used so, and says what to do.
func TestBehindTerminator(t *testing.T) {
	for _, hook := range []bool{false, true} {
		var b logbook
		g := newGuard(t, usher.Config{Logger: b.logger()})
		addr := servePlain(t, g, hook)
		for _, proto := range protos {
			plainGet(t, addr, proto, "a.test").wantReason(t, proto, 500, authority.NoFacts)
		}
		n := 0
		for _, e := range b.entries(t) {
			if m, _ := e["missing"].(string); strings.Contains(m, "AllowPlaintext") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("hook %t: the log names AllowPlaintext %d times, want once: %v", hook, n, b.entries(t))
		}
	}
}

func TestAllowPlaintext(t *testing.T) {
	w := newTown(t)
	for _, hook := range []bool{false, true} {
		bare := servePlain(t, newGuard(t, usher.Config{AllowPlaintext: true}), hook)
		sites := servePlain(t, newGuard(t, usher.Config{AllowPlaintext: true, Sites: w.sites(t)}), hook)
		for _, proto := range protos {
			plainGet(t, bare, proto, "any.test").wantReason(t, proto+" without sites", 200, authority.OK)
			plainGet(t, bare, proto, "a..test").wantReason(t, proto+" malformed", 400, authority.MalformedAuthority)
			for host, want := range map[string]authority.Reason{
				"a.test": authority.OK, "cert.test": authority.OK, "new.test": authority.OK, "own.test": authority.OK,
				"unknown.test": authority.UnknownOrigin,
				"staff.test":   authority.ClientAuthMismatch, "maybe.test": authority.ClientAuthMismatch,
			} {
				status := 421
				if want == authority.OK {
					status = 200
				}
				plainGet(t, sites, proto, host).wantReason(t, proto+" "+host, status, want)
			}
		}
	}
}

// A TLS connection is not taken for a plaintext one when somebody hides Request.TLS.
func TestHiddenTLS(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{AllowPlaintext: true, Sites: w.sites(t)})
	srv := newServer(g, echo)
	srv.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.TLS = nil
		withReason(g, echo).ServeHTTP(rw, r)
	})
	l := (&caller{addr: serveTLS(t, g, srv), sni: "a.test", proto: "h1"}).open(t)
	l.get("cert.test").wantReason(t, "r.TLS taken away", 500, authority.NoFacts)
}
