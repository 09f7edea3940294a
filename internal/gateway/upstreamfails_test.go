package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// deadAddress is one where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

func upstreamOf(routes string) string {
	return `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    upstream: ` + routes + "\n"
}

func TestDeadUpstream(t *testing.T) {
	r := newFolder(t).start(t, upstreamOf("http://"+deadAddress(t)))
	for _, proto := range protocols {
		a := r.client(t, proto, "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 502, "502 Bad Gateway\n")
		if a.Header.Get("Alt-Svc") != "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: fields %v", proto, a.Header)
		}
	}
	r.log.wait(t, "msg", "upstream failed", "kind", "connect", "level", "WARN")
	r.wantMetric(t, 3, "usher_upstream_errors_total", "kind=connect")
}

func TestNextUpstreamOnAConnectError(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	r := newFolder(t).start(t, upstreamOf("[http://"+deadAddress(t)+", "+up.URL+"]"))
	c := r.client(t, "h2", "tls", "a.test.example")
	for i := range 4 {
		req := c.request(t, "POST", "a.test.example", "/", strings.NewReader("content"))
		req.GetBody = nil
		if a := c.do(t, req).want(t, 200, "content"); a.text != "content" {
			t.Errorf("request %d: %q", i, a.text)
		}
	}
	r.log.wait(t, "msg", "upstream failed, the next one is tried")
	if n := r.log.count("msg", "upstream failed, the next one is tried"); n != 1 {
		t.Errorf("the dead server was tried %d times, want 1: it is passed over for a while", n)
	}
}

func TestUpstreamsInTurn(t *testing.T) {
	var count [2]atomic.Int32
	var urls []string
	for i := range count {
		up := newUpstreamServer(t, func(http.ResponseWriter, *http.Request) { count[i].Add(1) })
		urls = append(urls, up.URL)
	}
	r := newFolder(t).start(t, upstreamOf("["+strings.Join(urls, ", ")+"]"))
	c := r.client(t, "h1", "tls", "a.test.example")
	for range 6 {
		c.get(t, "a.test.example", "/").want(t, 200, "")
	}
	if a, b := count[0].Load(), count[1].Load(); a != 3 || b != 3 {
		t.Errorf("%d and %d requests, want 3 each", a, b)
	}
}

func TestSlowFirstByte(t *testing.T) {
	release := make(chan struct{})
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	r := newFolder(t).start(t, proxied(up)+"\ntimeouts: {first_byte: 50ms}\n")
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 504, "504 Gateway Timeout")
	r.log.wait(t, "msg", "upstream failed", "kind", "timeout")
}

// A retry can only help: an upstream's 421 is about our connection to it and never goes to the client.
func TestUpstreamMisdirected(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(421) })
	r := newFolder(t).start(t, proxied(up))
	for _, proto := range protocols {
		r.client(t, proto, "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 502, "502 Bad Gateway")
	}
	line := r.log.wait(t, "msg", "upstream failed", "kind", "misdirected")
	if cure, _ := line["cure"].(string); !strings.Contains(cure, "sni") {
		t.Errorf("cure %q", cure)
	}
	r.wantMetric(t, 3, "usher_upstream_misdirected_total")
}

func TestUpstreamTLS(t *testing.T) {
	f := newFolder(t)
	inside := testca.New(t)
	inside.WriteRoot(t, f.dir, "inside")
	inside.WriteClient(t, f.dir, "me", "gateway")
	names := make(chan string, 1)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names <- r.TLS.ServerName + " " + r.Host + " " + r.Proto
		if len(r.TLS.PeerCertificates) > 0 {
			io.WriteString(w, "client "+r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	up.TLS = &tls.Config{
		Certificates: []tls.Certificate{inside.Server(t, "backend.internal")},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    inside.Pool(),
	}
	up.EnableHTTP2 = true
	up.StartTLS()
	t.Cleanup(up.Close)
	r := f.start(t, upstreamOf(fmt.Sprintf("{urls: [%q], sni: backend.internal, ca: inside.pem, certificate: me.pem, key: me.key}", up.URL)))
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "client gateway")
	if got := wait(t, "the request", names); got != "backend.internal a.test.example HTTP/2.0" {
		t.Errorf("upstream saw %q", got)
	}
	r.reloadText(t, upstreamOf(fmt.Sprintf("{urls: [%q], ca: inside.pem}", up.URL)))
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 502, "") // no such IP in the certificate
	r.reloadText(t, upstreamOf(fmt.Sprintf("{urls: [%q], sni: backend.internal}", up.URL)))
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 502, "") // unknown CA
}

func TestClientAbortCancelsTheUpstream(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			asked, gone := make(chan struct{}, 1), make(chan struct{})
			up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-r.Context().Done()
				close(gone)
			})
			r := newFolder(t).start(t, proxied(up))
			c := r.client(t, proto, "tls", "a.test.example")
			ctx, cancel := context.WithCancel(t.Context())
			req := c.request(t, "GET", "a.test.example", "/", nil).WithContext(ctx)
			go func() {
				if res, err := c.http.Do(req); err == nil {
					res.Body.Close()
				}
			}()
			wait(t, "the request", asked)
			cancel()
			wait(t, "the end of the upstream's request", gone)
			r.log.wait(t, "msg", "request", "status", "499")
		})
	}
}

// An upstream that breaks off must not look like one that has finished.
func TestBrokenUpstreamResponseIsBroken(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r := newFolder(t).start(t, proxied(up))
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/", nil))
		if err != nil {
			continue // a reset may overtake the header section
		}
		if text, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: read %q without an error", proto, text)
		}
		res.Body.Close()
	}
	r.log.wait(t, "msg", "request", "status", "200", "aborted", "true")
}

// A client that takes nothing of its answer cannot keep it for ever.
func TestClientThatDoesNotRead(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			block := make([]byte, 1<<20)
			up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			})
			r := newFolder(t).start(t, proxied(up)+"timeouts: {idle: 300ms}\n")
			c := r.client(t, proto, "tls", "a.test.example")
			if proto == "h3" {
				// Otherwise QUIC's own time-out, which is no shorter for a client that does not read but answers.
				c.http.Transport.(*http3.Transport).QUICConfig = &quic.Config{KeepAlivePeriod: 50 * time.Millisecond}
			}
			res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			r.log.wait(t, "msg", "request", "aborted", "true")
		})
	}
}
