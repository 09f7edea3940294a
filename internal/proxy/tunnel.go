package proxy

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// switched is called with the header section of a 101. It has to be what was asked for: a server that begins to speak something
// else must not have what follows taken for it.
func (c *conn) switched(r *message.Request, key string) error {
	h := &c.head
	if r.Protocol == "" || !strings.EqualFold(h.upgrade, r.Protocol) {
		return &MalformedError{"a 101 that nobody asked for"}
	}
	if accept, _ := h.fields.Get("sec-websocket-accept"); key != "" && accept != acceptOf(key) {
		return &MalformedError{"a 101 with another Sec-WebSocket-Accept"}
	}
	if h.chunked || h.length > 0 {
		return &MalformedError{"an interim answer with content"}
	}
	if c.send != nil || !c.complete {
		return &MalformedError{"a 101 before the request was complete"}
	}
	c.watch.answered()
	c.body = content{}
	c.tunnel = true
	c.answer = Response{Status: 101, Fields: h.fields.Without(isLength), NoBody: true, from: c}
	return nil
}

func (c *conn) tunnelling() (io.ReadWriteCloser, error) {
	if !c.tunnel {
		return nil, errNoTunnel
	}
	c.watch.end() // no limit counts any more; Cancel still does
	return &tunnel{c}, nil
}

// A tunnel is what a connection is after a 101: one goroutine may read while another writes.
type tunnel struct{ conn *conn }

func (t *tunnel) Read(p []byte) (int, error) {
	c := t.conn
	if c.r < c.w {
		n := copy(p, c.in[c.r:c.w])
		c.r += n
		return n, nil
	}
	n, err := c.net.Read(p)
	return n, t.why(err)
}

func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.conn.net.Write(p)
	return n, t.why(err)
}

func (t *tunnel) why(err error) error {
	if why := t.conn.watch.why(); err != nil && why != nil {
		return why
	}
	return err
}

// CloseWrite says that nothing more will be written.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.conn.net.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.conn.net.Close()
}

func (t *tunnel) Close() error { return t.conn.raw.Close() }

// newWebSocketKey makes the field that HTTP/2 does not have and HTTP/1.1 asks for (RFC 8441 section 5, RFC 6455 section 4.1).
func newWebSocketKey() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// acceptOf is what the server has to answer to a key (RFC 6455 section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
