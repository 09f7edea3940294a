package gateway

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/tcpio"
)

// A conn is a TCP connection of a listener. It limits how long a write may wait, and is counted.
type conn struct {
	net.Conn
	socket   *tcpio.Socket // of Conn; nil: not known
	metrics  *metrics
	listener string
	stall    time.Duration     // how long a write may wait for the client; 0: for ever
	facts    *usher.Connection // set before anything is read

	more    atomic.Bool // who writes now goes on at once
	limited atomic.Bool // somebody above has set a write deadline
	heard   atomic.Bool
	proto   atomic.Pointer[string]
	closed  sync.Once
}

func (l *listener) newConn(c net.Conn) *conn {
	t := &conn{Conn: c, socket: tcpio.Of(c), metrics: l.gateway.metrics, listener: l.name, stall: l.timeouts.Idle}
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
	var n int
	var err error
	if c.socket != nil {
		n, err = c.socket.Read(p)
	} else {
		n, err = c.Conn.Read(p)
	}
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write gives each write its time, so that a client which does not read cannot hold a connection for ever.
func (c *conn) Write(p []byte) (n int, err error) {
	limited := c.limited.Load()
	if !limited && c.socket != nil {
		// Most writes need no waiting, and no deadline.
		if n, err = c.socket.TryWrite(p, c.more.Load()); n == len(p) || err != nil {
			return n, err
		}
	}
	if !limited && c.stall > 0 {
		c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
	}
	rest, err := c.Conn.Write(p[n:])
	return n + rest, err
}

// The most content of a TLS record.
const recordSize = 16 << 10

// writeWhole writes p by nc, which is what is spoken on c. Over TLS that is many writes, and the client is to get the records of all but
// the last one together.
func (c *conn) writeWhole(nc net.Conn, p []byte) (int, error) {
	n := 0
	if last := (len(p) - 1) / recordSize * recordSize; last > 0 && nc != net.Conn(c) {
		var err error
		c.more.Store(true)
		n, err = nc.Write(p[:last])
		c.more.Store(false)
		if err != nil {
			return n, err
		}
	}
	rest, err := nc.Write(p[n:])
	return n + rest, err
}

// CloseWrite says that nothing more will be written; what comes can still be read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// drain is for the time between the last words and Close: a close with unread bytes in the socket resets the connection, and takes
// what is under way with it.
func (c *conn) drain() {
	c.CloseWrite()
	c.Conn.SetReadDeadline(time.Now().Add(lingerFor))
	io.CopyN(io.Discard, c.Conn, 1<<20)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.limited.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.limited.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}
