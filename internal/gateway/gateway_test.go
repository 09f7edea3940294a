package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/testenv"
)

func TestServesEveryProtocol(t *testing.T) {
	r := newFolder(t).start(t, basic)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			a := c.get(t, "a.test.example", "/").want(t, 200, "site a")
			if a.Header.Get("X-Site") != "a" || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("fields %v", a.Header)
			}
			c.get(t, "b.test.example", "/b/x").want(t, 200, "site b")
			c.get(t, "b.test.example", "/other").want(t, 404, "404 Not Found")
			c.get(t, "own.test.example", "/").want(t, 421, "")
			c.get(t, "nobody.test.example", "/").want(t, 421, "")
			if n := c.open.count(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestTCPAndUDPShareThePort(t *testing.T) {
	r := newFolder(t).start(t, basic)
	ports := map[string]int{}
	for _, a := range r.Addresses() {
		if a.Listener == "tls" {
			ports[a.Network] = portOf(t, a.Addr.String())
		}
	}
	if ports["tcp"] == 0 || ports["tcp"] != ports["udp"] {
		t.Errorf("ports %v", ports)
	}
}

func TestPlaintext(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := r.client(t, "h1", "plain", "")
	c.get(t, "a.test.example", "/").want(t, 200, "site a")
	a := c.get(t, "b.test.example", "/b?q=1").want(t, 308, "")
	if got := a.Header.Get("Location"); got != "https://b.test.example/b?q=1" {
		t.Errorf("Location %q", got)
	}
	c.get(t, "nobody.test.example", "/").want(t, 421, "")
}

// "When using HTTP/2 over TLS, ... clients MUST ignore Alt-Svc in a 421" (RFC 7838 section 6, in our words): it is on
// answers of sites alone.
func TestAltSvc(t *testing.T) {
	r := newFolder(t).start(t, basic)
	for _, test := range []struct {
		proto, listener, sni, host, path string
		status                           int
		want                             string
	}{
		{"h1", "tls", "a.test.example", "a.test.example", "/", 200, `h3=":443"; ma=86400`},
		{"h2", "tls", "a.test.example", "a.test.example", "/", 200, `h3=":443"; ma=86400`},
		{"h3", "tls", "a.test.example", "a.test.example", "/", 200, ""},
		{"h2", "tls", "a.test.example", "own.test.example", "/", 421, ""},
		{"h2", "tls", "a.test.example", "b.test.example", "/none", 404, ""},
		{"h1", "plain", "", "a.test.example", "/", 200, ""},
		{"h1", "plain", "", "b.test.example", "/", 308, ""},
	} {
		a := r.client(t, test.proto, test.listener, test.sni).get(t, test.host, test.path).want(t, test.status, "")
		if got := a.Header.Get("Alt-Svc"); got != test.want {
			t.Errorf("%+v: Alt-Svc %q", test, got)
		}
	}
}

func TestAltSvcNamesTheBoundPort(t *testing.T) {
	r := newFolder(t).start(t, strings.Replace(basic, ", public_ports: [443]", "", 1))
	c := r.client(t, "h2", "tls", "a.test.example")
	a := c.get(t, "a.test.example:"+c.port, "/").want(t, 200, "")
	if got, want := a.Header.Get("Alt-Svc"), fmt.Sprintf("h3=%q; ma=86400", ":"+c.port); got != want {
		t.Errorf("Alt-Svc %q, want %q", got, want)
	}
}

func TestProtocolsAreOfferedAsConfigured(t *testing.T) {
	r := newFolder(t).start(t, strings.Replace(basic, "public_ports: [443]", "public_ports: [443], protocols: [h1]", 1))
	a := r.client(t, "h1", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	if alt := a.Header.Get("Alt-Svc"); alt != "" {
		t.Errorf("Alt-Svc %q without h3", alt)
	}
	_, err := tls.Dial("tcp", r.addr(t, "tls"), &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example", NextProtos: []string{"h2"}})
	if err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("h2 offered: %v", err)
	}
	for _, a := range r.Addresses() {
		if a.Network == "udp" {
			t.Errorf("UDP socket %v without h3", a)
		}
	}
}

// Where HTTP/1.1 is not spoken, a client that knows nothing of ALPN is not served with it either.
func TestNoHTTP1WithoutALPN(t *testing.T) {
	r := newFolder(t).start(t, strings.Replace(basic, `public_ports: [443]}`, `public_ports: [443], protocols: [h2]}`, 1))
	c := tls.Client(r.raw(t, "tls", ""), &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example"})
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.test.example\r\n\r\n")
	if text, _ := io.ReadAll(c); len(text) > 0 {
		t.Errorf("answer %q", text)
	}
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "site a")
}

func TestOptionsStar(t *testing.T) {
	r := newFolder(t).start(t, basic)
	conn := r.raw(t, "tls", "a.test.example")
	fmt.Fprintf(conn, "OPTIONS * HTTP/1.1\r\nHost: a.test.example\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: own.test.example\r\n\r\n")
	in := bufio.NewReader(conn)
	for _, want := range []int{200, 421} {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
}

// raw is a TLS connection without a client on it; without SNI a TCP connection.
func (r *running) raw(t *testing.T, listener, sni string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr(t, listener))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if sni == "" {
		return c
	}
	secured := tls.Client(c, &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: sni})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secured
}

func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	r := newFolder(t).start(t, basic)
	other := r.client(t, "h1", "tls", "a.test.example")
	other.get(t, "a.test.example", "/").want(t, 200, "")
	r.raw(t, "tls", "").Close() // as a health check does: no error of a handshake
	eventually(t, "its connection is gone", func() bool {
		return r.metric(t, "usher_connections", "listener=tls", "proto=none") == 0
	})
	c := r.raw(t, "tls", "")
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a.test.example\r\n\r\n")
	text, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(text), "HTTP/1.0 400") {
		t.Errorf("answer %q", text)
	}
	eventually(t, "a handshake error", func() bool { return r.metric(t, "usher_handshake_errors_total") == 1 })
	other.get(t, "a.test.example", "/").want(t, 200, "")
	if n := other.open.count(); n != 1 {
		t.Errorf("the other client made %d connections, want 1", n)
	}
}

func TestTLSGarbage(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := r.raw(t, "tls", "")
	fmt.Fprint(c, "\x16\x03\x01\x00\x04garbage that is no TLS at all")
	io.ReadAll(c) // until the server closes
	eventually(t, "a handshake error", func() bool { return r.metric(t, "usher_handshake_errors_total") == 1 })
	r.client(t, "h2", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	if n := r.log.count("msg", "connection"); n != 0 {
		t.Errorf("%d lines about garbage at level info", n)
	}
}

func TestSilentClientsAreClosed(t *testing.T) {
	const limits = "\ntimeouts: {handshake: 2s, header: 1s}\n"
	r := newFolder(t).start(t, basic+limits)
	secured := r.raw(t, "tls", "a.test.example")
	for name, c := range map[string]net.Conn{
		"no handshake":         r.raw(t, "tls", ""),
		"no request":           secured,
		"nothing in plaintext": r.raw(t, "plain", ""),
	} {
		if _, err := c.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(fmt.Sprint(err), "reset") {
			t.Errorf("%s: read gives %v, want a close", name, err)
		}
	}
	eventually(t, "no connection is left", func() bool {
		return r.metric(t, "usher_connections", "listener=tls", "proto=none") == 0 &&
			r.metric(t, "usher_connections", "listener=plain", "proto=none") == 0
	})
}

// The handshake has a limit of its own: a short one for the header section must not cut it.
func TestHandshakeOutlastsTheHeaderLimit(t *testing.T) {
	r := newFolder(t).start(t, basic+"\ntimeouts: {handshake: 20s, header: 20ms}\n")
	tcp := r.raw(t, "tls", "")
	eventually(t, "the connection is taken in", func() bool {
		return r.metric(t, "usher_connections", "listener=tls", "proto=none") == 1
	})
	tcp.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := tcp.Read(make([]byte, 1)); !strings.Contains(fmt.Sprint(err), "timeout") {
		t.Fatalf("the server closed the connection: %v", err)
	}
	tcp.SetDeadline(time.Now().Add(patience))
	if err := tls.Client(tcp, &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example"}).Handshake(); err != nil {
		t.Error(err)
	}
}

// deaf is a client's socket that nothing comes in by.
type deaf struct {
	net.PacketConn
	over chan struct{}
}

func (d deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.over
	return 0, nil, net.ErrClosed
}

// Over QUIC, where nothing but the loss of what is kept for it tells of the end of a handshake.
func TestHandshakeLimitOverHTTP3(t *testing.T) {
	const limits = "\ntimeouts: {handshake: %s}\n"
	long, short := newFolder(t).start(t, basic+fmt.Sprintf(limits, "60s")), newFolder(t).start(t, basic+fmt.Sprintf(limits, "300ms"))
	open := func(r *running) float64 { return r.metric(t, "usher_connections", "listener=tls", "proto=h3") }
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	over := make(chan struct{})
	defer func() {
		cancel()
		close(over)
		clients.Wait()
	}()
	for _, r := range []*running{long, short} {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		server, err := net.ResolveUDPAddr("udp", r.addr(t, "tls"))
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			client := &quic.Transport{Conn: deaf{udp, over}}
			client.Dial(ctx, server, &tls.Config{ServerName: "a.test.example", NextProtos: []string{"h3"}}, &quic.Config{HandshakeIdleTimeout: patience})
			<-over
			client.Close()
		})
		eventually(t, "a handshake has begun", func() bool { return open(r) == 1 })
	}
	eventually(t, "it is given up", func() bool { return open(short) == 0 })
	if open(long) != 1 {
		t.Error("so is the one that has more time")
	}
}

func TestStalledUploadEnds(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			patiently(t, 500*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
				up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					io.WriteString(w, "got it")
				})
				r := newFolder(t).start(t, proxied(up)+fmt.Sprintf("\ntimeouts: {body: %v}\n", limit))
				c := r.client(t, proto, "tls", "a.test.example")
				// post returns a status. A client that sees its connection break while it sends may get no answer to see.
				post := func(body io.Reader) int {
					res, err := c.http.Do(c.request(t, "POST", "a.test.example", "/", body))
					if err != nil {
						return http.StatusRequestTimeout
					}
					res.Body.Close()
					return res.StatusCode
				}
				body, parts := io.Pipe()
				go func() {
					// In time each, longer than the limit in all.
					for range 10 {
						fmt.Fprint(parts, "part")
						time.Sleep(limit / 6)
					}
					parts.Close()
				}()
				switch got := post(body); got {
				case http.StatusOK:
				case http.StatusRequestTimeout:
					return false // the client was kept waiting
				default:
					t.Errorf("status %d", got)
				}

				seen := r.log.count("msg", "request", "status", "408")
				body, stalls := io.Pipe()
				go fmt.Fprint(stalls, "part")
				status := make(chan int, 1)
				go func() { status <- post(body) }()
				eventually(t, "the end of the request", func() bool { return r.log.count("msg", "request", "status", "408") > seen })
				stalls.Close()
				if got := wait(t, "the answer", status); got != http.StatusRequestTimeout {
					t.Errorf("status %d", got)
				}
				return true
			})
		})
	}
}

func TestPortInUse(t *testing.T) {
	f := newFolder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	text := strings.Replace(basic, `address: "127.0.0.1:0", public_ports: [443]`, "address: "+free.Addr().String(), 1)
	text = strings.Replace(text, `address: "127.0.0.1:0", scheme: http, public_ports: [80]`, "scheme: http, address: "+taken.Addr().String(), 1)
	g, err := Start(t.Context(), f.load(t, text), Options{Log: io.Discard})
	if err == nil {
		g.Shutdown(context.Background())
		t.Fatal("started")
	}
	for _, want := range []string{`listener "plain"`, taken.Addr().String(), "address already in use", "hint: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("something was left bound: %v", err)
	}
	again.Close()
	udp, err := net.ListenPacket("udp", free.Addr().String())
	if err != nil {
		t.Fatalf("something was left bound: %v", err)
	}
	udp.Close()
}

func TestUDPPortInUse(t *testing.T) {
	f := newFolder(t)
	taken, err := net.ListenPacket("udp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.LocalAddr().String()
	text := strings.Replace(basic, `"127.0.0.1:0", public_ports: [443]`, `"`+at+`"`, 1)
	g, err := Start(t.Context(), f.load(t, text), Options{Log: io.Discard})
	if err == nil {
		g.Shutdown(context.Background())
		t.Fatal("started")
	}
	if want := `listener "tls" (HTTP/3): cannot listen on ` + at + " (udp): address already in use"; !strings.Contains(err.Error(), "usher.yaml:3:26: "+want) {
		t.Errorf("error %q, want %q", err, want)
	}
	again, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatalf("the TCP port was left bound: %v", err)
	}
	again.Close()
}
