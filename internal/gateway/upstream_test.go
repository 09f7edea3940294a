package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
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

func newUpstreamServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// proxied is a site whose requests all go to the server.
func proxied(s *httptest.Server) string {
	return `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    upstream: ` + s.URL + "\n"
}

func TestUpstreamSeesWhatTheClientSent(t *testing.T) {
	seen := make(chan *http.Request, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":9999"`)
		w.Header().Set("X-Up", "yes")
		seen <- r
	})
	r := newFolder(t).start(t, proxied(up))
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			req := c.request(t, "GET", "a.test.example", "/x%2Fy//z?a=1;b=%zz", nil)
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
				"X-Real-Ip", "Client-Cert", "Client-Cert-Chain", "Client_cert", "Client_cert-Chain", "X_forwarded_for", "X-Forwarded_proto", "X_real_ip",
				"Client.cert", "Client-Cert.chain", "X.forwarded.for", "X.real-Ip"} {
				req.Header.Set(name, "forged")
			}
			a := c.do(t, req).want(t, 200, "")
			got := wait(t, "the request", seen)
			if got.Host != "a.test.example" || got.RequestURI != "/x%2Fy//z?a=1;b=%zz" {
				t.Errorf("asked for %q %q", got.Host, got.RequestURI)
			}
			for name, want := range map[string]string{
				"Forwarded":         `for=127.0.0.1;host="a.test.example";proto=https`,
				"X-Forwarded-For":   "127.0.0.1",
				"X-Forwarded-Host":  "a.test.example",
				"X-Forwarded-Proto": "https",
				"X-Forwarded-Port":  "",
				"X-Real-Ip":         "",
				"Client-Cert":       "",
				"Client-Cert-Chain": "",
				"Client_cert":       "", // as CGI and the like would read it
				"Client_cert-Chain": "",
				"X_forwarded_for":   "",
				"X-Forwarded_proto": "",
				"X_real_ip":         "",
				"Client.cert":       "", // as PHP would read it
				"Client-Cert.chain": "",
				"X.forwarded.for":   "",
				"X.real-Ip":         "",
			} {
				if have := strings.Join(got.Header[name], "|"); have != want {
					t.Errorf("%s: %q, want %q", name, have, want)
				}
			}
			want := `h3=":443"; ma=86400`
			if proto == "h3" {
				want = ""
			}
			if alt := a.Header.Get("Alt-Svc"); alt != want || a.Header.Get("X-Up") != "yes" {
				t.Errorf("fields %v", a.Header)
			}
		})
	}
}

func TestForwardedOfIPv6(t *testing.T) {
	if got, want := forwarded("2001:db8::1", "a:8443", "https"), `for="[2001:db8::1]";host="a:8443";proto=https`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

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

func TestWebSocketUpgrade(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(400)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		io.Copy(c, rw)
	})
	r := newFolder(t).start(t, proxied(up))
	c := r.raw(t, "tls", "a.test.example")
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("answer %v, %v", res, err)
	}
	for range 3 {
		fmt.Fprint(c, "ping\n")
		if line, err := in.ReadString('\n'); line != "ping\n" {
			t.Fatalf("echo %q, %v", line, err)
		}
	}
	// An upgraded connection is a request in hand: a shutdown waits for it.
	done := r.shutdown()
	r.log.wait(t, "msg", "draining")
	fmt.Fprint(c, "still\n")
	if line, err := in.ReadString('\n'); line != "still\n" {
		t.Fatalf("echo %q, %v", line, err)
	}
	c.Close()
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
	r.log.wait(t, "msg", "request", "status", "101")
}

func TestServerSentEvents(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			next := make(chan string)
			up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for event := range next {
					fmt.Fprintf(w, "data: %s\n", event)
					http.NewResponseController(w).Flush()
				}
			})
			r := newFolder(t).start(t, proxied(up))
			t.Cleanup(func() { close(next) })
			c := r.client(t, proto, "tls", "a.test.example")
			res := make(chan *http.Response, 1)
			req := c.request(t, "GET", "a.test.example", "/", nil)
			go func() {
				got, _ := c.http.Do(req)
				res <- got
			}()
			next <- "one"
			stream := wait(t, "the response", res)
			if stream == nil {
				t.Fatal("no response")
			}
			defer stream.Body.Close()
			in := bufio.NewReader(stream.Body)
			for _, event := range []string{"one", "two", "three"} {
				if event != "one" {
					next <- event
				}
				if line, err := in.ReadString('\n'); line != "data: "+event+"\n" {
					t.Errorf("event %q, %v", line, err)
				}
			}
		})
	}
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

func TestClientCertificates(t *testing.T) {
	f := newFolder(t)
	staff := testca.New(t)
	staff.WriteRoot(t, f.dir, "staff")
	alice := staff.Client(t, "alice")
	seen := make(chan string, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		seen <- strings.Join(r.Header["Client-Cert"], "|")
	})
	r := f.start(t, `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}], client_auth: require, client_ca: staff.pem}
    upstream: `+up.URL+`
  - hosts: [b.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    upstream: `+up.URL+"\n")
	want := ":" + base64.StdEncoding.EncodeToString(alice.Certificate[0]) + ":"
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example", alice)
		c.get(t, "a.test.example", "/").want(t, 200, "")
		if got := wait(t, "the request", seen); got != want {
			t.Errorf("%s: the site with client authentication saw %q", proto, got)
		}
		c.get(t, "b.test.example", "/").want(t, 200, "")
		if got := wait(t, "the request", seen); got != "" {
			t.Errorf("%s: the site without saw %q", proto, got)
		}
		r.client(t, proto, "tls", "b.test.example").get(t, "a.test.example", "/").want(t, 421, "")
	}
}

// Behind an upgrade to h2c the client could ask the upstream for anything, past the guard.
func TestNoUpgradeButWebSocket(t *testing.T) {
	seen := make(chan http.Header, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		if r.URL.Path == "/insists" {
			c, rw, _ := http.NewResponseController(w).Hijack()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
			rw.Flush()
			c.Close()
		}
	})
	r := newFolder(t).start(t, proxied(up))
	for _, test := range []struct {
		path, upgrade string
		status        int
	}{
		{"/", "h2c", 200},
		{"/", "websocket, h2c", 200},
		{"/", "TLS/1.2", 200},
		{"/", "h2c\r\nUpgrade: websocket", 200},
		{"/insists", "h2c", 502},
	} {
		c := r.raw(t, "tls", "a.test.example")
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test.example\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: %s\r\n\r\n",
			test.path, test.upgrade)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != test.status {
			t.Errorf("%+v: %v, %v", test, res, err)
		}
		if h := wait(t, "the request", seen); h["Upgrade"] != nil || h["Http2-Settings"] != nil {
			t.Errorf("%+v: upstream saw %v", test, h)
		}
	}
}

func TestTrustedGatewaysAreBelieved(t *testing.T) {
	seen := make(chan http.Header, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	r := newFolder(t).start(t, strings.Replace(proxied(up), "public_ports", "trusted_gateways: [127.0.0.1/32], public_ports", 1))
	c := r.client(t, "h2", "tls", "a.test.example")
	req := c.request(t, "GET", "a.test.example", "/", nil)
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	req.Header.Set("Forwarded", "for=203.0.113.7;proto=https")
	req.Header.Set("X-Forwarded-Host", "front.example")
	if alt := c.do(t, req).want(t, 200, "").Header.Get("Alt-Svc"); alt != "" {
		t.Errorf("Alt-Svc %q for a gateway", alt)
	}
	got := wait(t, "the request", seen)
	for name, want := range map[string]string{
		"X-Forwarded-For":   "203.0.113.7, 127.0.0.1",
		"Forwarded":         `for=203.0.113.7;proto=https, for=127.0.0.1;host="a.test.example";proto=https`,
		"X-Forwarded-Host":  "front.example",
		"X-Forwarded-Proto": "https",
	} {
		if have := got.Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
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
