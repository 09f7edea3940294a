package gateway

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A socket101 is what an upstream has in hand after an upgrade.
type socket101 struct {
	net.Conn
	in      *bufio.Reader
	request *http.Request
}

// newSockets is an upstream that answers upgrades to /socket with 101, and others with the status that is their path.
func newSockets(t *testing.T) (url string, sockets chan socket101) {
	sockets = make(chan socket101, 10)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/socket" {
			switch r.URL.Path {
			case "/200":
				io.WriteString(w, "no socket")
			case "/404":
				http.NotFound(w, r)
			}
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		// RFC 6455 section 4.2.2
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n"+
			"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		nc.SetDeadline(time.Now().Add(patience))
		sockets <- socket101{nc, rw.Reader, r}
	})
	return up.URL, sockets
}

// connect asks for a tunnel. RFC 8441 section 4: "A new pseudo-header field :protocol MAY be included on request HEADERS indicating the
// desired protocol to be spoken on the tunnel created by CONNECT."
func (c *wire) connect(path, protocol string, more ...string) uint32 {
	c.t.Helper()
	id := c.next
	c.next += 2
	c.headers(id, false, append([]string{":method", "CONNECT", ":protocol", protocol, ":scheme", "https", ":authority", "a.test.example", ":path", path,
		"sec-websocket-version", "13", "sec-websocket-protocol", "chat, other"}, more...)...)
	c.flush()
	return id
}

// tunnel opens one, and sends both ways.
func tunnel(t *testing.T, more ...string) (*driven, *wire, uint32, socket101) {
	t.Helper()
	url, sockets := newSockets(t)
	d := drive(t, mixed(url)+strings.Join(more, ""))
	c := d.wire(t)
	id := c.connect("/socket", "websocket", "x-mine", "yes")
	up := wait(t, "the upgrade", sockets)
	t.Cleanup(func() { up.Close() })
	c.until("the header section", func() bool { h := c.streams[id]; return h != nil && h.status != "" })
	// RFC 8441 section 5: "Implementations using this extended CONNECT to bootstrap WebSockets do not do the processing of the
	// Sec-WebSocket-Key and Sec-WebSocket-Accept header fields of [RFC6455] as that functionality has been superseded by the :protocol
	// pseudo-header field."
	h := c.seen(id)
	if h.status != "200" || h.value("sec-websocket-protocol") != "chat" || h.value("sec-websocket-accept") != "" || h.value("upgrade") != "" {
		t.Fatalf("answer %s %v", h.status, h.fields)
	}
	r := up.request
	if r.Method != "GET" || r.Host != "a.test.example" || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("X-Mine") != "yes" ||
		r.Header.Get("Sec-WebSocket-Protocol") != "chat, other" || r.ContentLength != 0 || r.TransferEncoding != nil {
		t.Errorf("the upstream saw %s %s %v", r.Method, r.Host, r.Header)
	}
	for _, text := range []string{"one\n", "two\n"} {
		c.data(id, false, []byte(text))
		if got, err := up.in.ReadString('\n'); got != text {
			t.Fatalf("the upstream read %q, %v", got, err)
		}
		io.WriteString(up, strings.ToUpper(text))
	}
	c.until("what the upstream sent", func() bool { return string(c.streams[id].body) == "ONE\nTWO\n" })
	c.want(c.get("/404"), "404", "")
	return d, c, id, up
}

// RFC 8441 section 5: "Orderly TCP-level closures are represented as END_STREAM flags ([RFC7540], Section 6.1)."
func TestH2TunnelClientEnds(t *testing.T) {
	d, c, id, up := tunnel(t)
	c.data(id, true, []byte("bye\n"))
	if rest, err := io.ReadAll(up.in); string(rest) != "bye\n" || err != nil {
		t.Errorf("the upstream read %q, %v", rest, err)
	}
	io.WriteString(up, "and good bye") // the other half is still open
	up.Close()
	c.want(id, "200", "ONE\nTWO\nand good bye")
	line := d.log.wait(t, "msg", "request", "path", "/socket")
	wantFields(t, line, map[string]any{"status": 200, "bytes": 20})
	c.want(c.get("/fixed"), "200", "fixed\n")
	wantNoStream(t, d.conn(t))
}

func TestH2TunnelUpstreamEnds(t *testing.T) {
	d, c, id, up := tunnel(t)
	io.WriteString(up, "the end")
	up.Close()
	c.want(id, "200", "ONE\nTWO\nthe end")
	d.log.wait(t, "msg", "request", "path", "/socket", "status", "200")
	c.data(id, false, []byte("on its way"))
	c.data(id, true, nil)
	c.want(c.get("/fixed"), "200", "fixed\n")
	wantNoStream(t, d.conn(t))
}

// RFC 8441 section 5: "RST exceptions are represented with the RST_STREAM frame ([RFC7540], Section 6.4) with the CANCEL error code".
func TestH2TunnelClientResets(t *testing.T) {
	d, c, id, up := tunnel(t)
	c.out.WriteRSTStream(id, http2.ErrCodeCancel)
	c.flush()
	if rest, _ := io.ReadAll(up.in); len(rest) != 0 {
		t.Errorf("the upstream read %q", rest)
	}
	d.log.wait(t, "msg", "request", "path", "/socket")
	c.want(c.get("/fixed"), "200", "fixed\n")
}

func TestH2TunnelConnectionEnds(t *testing.T) {
	d, c, _, up := tunnel(t)
	c.nc.Close()
	if rest, _ := io.ReadAll(up.in); len(rest) != 0 {
		t.Errorf("the upstream read %q", rest)
	}
	d.wantNothingLeft(t)
}

// Nobody has to say anything in it: timeouts.body and timeouts.idle are about HTTP.
func TestH2TunnelRests(t *testing.T) {
	_, c, id, up := tunnel(t, "timeouts: {body: 50ms, idle: 1s}\n") // idle is what a PING may take, too
	time.Sleep(2500 * time.Millisecond)                             // nothing is to happen
	c.data(id, false, []byte("still\n"))
	if got, err := up.in.ReadString('\n'); got != "still\n" {
		t.Fatalf("the upstream read %q, %v", got, err)
	}
	io.WriteString(up, "there")
	c.until("what the upstream sent", func() bool { return string(c.streams[id].body) == "ONE\nTWO\nthere" })
}

// A shutdown waits for it.
func TestH2TunnelAndShutdown(t *testing.T) {
	d, c, id, up := tunnel(t)
	done := d.shut()
	c.until("GOAWAY with the last stream", func() bool { return len(c.goAways) == 2 })
	c.data(id, false, []byte("still\n"))
	if got, err := up.in.ReadString('\n'); got != "still\n" {
		t.Fatalf("the upstream read %q, %v", got, err)
	}
	up.Close()
	c.want(id, "200", "")
	c.data(id, true, nil)
	c.wantEnd(http2.ErrCodeNo)
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
}

// wantNoStream waits until nothing of the connection's streams is left.
func wantNoStream(t *testing.T, c *h2conn) {
	t.Helper()
	eventually(t, "no stream is open", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.session.Streams() == 0
	})
}

func TestH2NoTunnel(t *testing.T) {
	url, sockets := newSockets(t)
	d := drive(t, mixed(url))
	c := d.wire(t)
	for _, test := range []struct{ path, protocol, status, text string }{
		// RFC 9220 section 3: "If a server advertises support for Extended CONNECT but receives an Extended CONNECT request with a
		// ":protocol" value that is unknown or is not supported, the server SHOULD respond to the request with a 501 (Not
		// Implemented) status code".
		{"/socket", "connect-udp", "501", "501 Not Implemented\n"},
		{"/socket", "connect-ip", "501", "501 Not Implemented\n"},
		{"/socket", "h2c", "501", "501 Not Implemented\n"},
		{"/fixed", "websocket", "501", "501 Not Implemented\n"},
		{"/moved", "websocket", "501", "501 Not Implemented\n"},
		{"/404", "websocket", "404", "404 page not found\n"},
		// RFC 8441 section 5: a 2xx would say that the tunnel stands.
		{"/200", "websocket", "502", "502 Bad Gateway\n"},
	} {
		id := c.connect(test.path, test.protocol)
		if h := c.want(id, test.status, test.text); !strings.HasPrefix(string(h.body), test.text) {
			t.Errorf("%+v: %q", test, h.body)
		}
		c.data(id, true, []byte("what the tunnel would have carried"))
	}
	// The name of a protocol is a token without case (RFC 9110 section 7.8).
	id := c.connect("/socket", "WebSocket")
	wait(t, "the upgrade", sockets).Close()
	c.want(id, "200", "")
	c.data(id, true, nil)
	wantNoStream(t, d.conn(t))
	d.log.wait(t, "msg", "upstream failed", "kind", "failed")
}
