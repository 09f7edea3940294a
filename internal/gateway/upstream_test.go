package gateway

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
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
