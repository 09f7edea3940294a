package gateway

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is a TCP connection of a listener. It keeps time limits that net/http has no setting for, and is counted.
type conn struct {
	net.Conn
	metrics  *metrics
	listener string
	until    time.Time     // the end of the TLS handshake
	stall    time.Duration // how long a write may wait for the client; 0: for ever

	handshaking atomic.Bool
	limited     atomic.Bool // somebody above has set a write deadline
	heard       atomic.Bool
	proto       atomic.Pointer[string]
	closed      sync.Once
}

func (l *listener) newConn(c net.Conn) *conn {
	t := &conn{Conn: c, metrics: l.gateway.metrics, listener: l.name, stall: l.timeouts.Idle}
	if l.https {
		t.until = time.Now().Add(l.timeouts.Handshake)
		t.handshaking.Store(true)
	}
	t.setProto("none")
	return t
}

// setProto moves the connection in the metric.
func (c *conn) setProto(p string) {
	old := c.proto.Swap(&p)
	if old != nil {
		c.metrics.connections.WithLabelValues(c.listener, *old).Dec()
	}
	c.metrics.connections.WithLabelValues(c.listener, p).Inc()
}

func (c *conn) Close() error {
	c.closed.Do(func() { c.metrics.connections.WithLabelValues(c.listener, *c.proto.Load()).Dec() })
	return c.Conn.Close()
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write gives each write its time, so that a client which does not read cannot hold a connection for ever.
func (c *conn) Write(p []byte) (int, error) {
	if c.stall > 0 && !c.limited.Load() {
		c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
	}
	return c.Conn.Write(p)
}

// CloseWrite lets net/http end a plaintext connection so that the client still reads the last response.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// net/http limits a handshake by ReadHeaderTimeout, and lifts the limit when it is done. In between the gateway's own
// limit stands.
func (c *conn) inHandshake(t time.Time) time.Time {
	if !c.handshaking.Load() {
		return t
	}
	if t.IsZero() {
		c.handshaking.Store(false)
		return t
	}
	return c.until
}

func (c *conn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(c.inHandshake(t)) }

func (c *conn) SetWriteDeadline(t time.Time) error {
	t = c.inHandshake(t)
	c.limited.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	t = c.inHandshake(t)
	c.limited.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

// tlsConn is a *tls.Conn, or what the guard wraps round it to send ORIGIN frames.
type tlsConn interface {
	NetConn() net.Conn
	ConnectionState() tls.ConnectionState
}

// connState is for http.Server.ConnState.
func connState(nc net.Conn, state http.ConnState) {
	secured, _ := nc.(tlsConn)
	if secured != nil {
		nc = secured.NetConn()
	}
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive, http.StateIdle:
		if *c.proto.Load() != "none" {
			return
		}
		proto := "h1"
		if secured != nil {
			proto = protoOfALPN(secured.ConnectionState().NegotiatedProtocol)
		}
		c.setProto(proto)
	case http.StateClosed:
		if secured != nil && c.heard.Load() && !secured.ConnectionState().HandshakeComplete {
			c.metrics.handshakeErrors.Inc()
		}
	}
}
