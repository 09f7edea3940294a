package proxy

import (
	"errors"
	"io"
	"syscall"

	"github.com/usher-http/usher/internal/http1"
)

type framing uint8

const (
	noContent framing = iota
	byLength
	byChunks
	untilClose
)

// content is how far the content of an answer has come.
type content struct {
	kind       framing
	left       int64        // of the announced length
	chunks     http1.Chunks // where there is none
	over       bool         // the end was reached
	persistent bool         // the connection may be used again once it was
	broken     error        // how it ended before its end
}

// direct is how much room makes it worth while to read into the caller's memory without the detour.
const direct = inputSize

func (c *conn) read(p []byte) (int, error) {
	b := &c.body
	switch {
	case b.broken != nil:
		return 0, b.broken
	case b.kind == noContent || b.over:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	var n int
	var err error
	switch b.kind {
	case byLength:
		n, err = c.readCounted(p)
	case byChunks:
		n, err = c.readChunked(p)
	default:
		n, err = c.readRest(p)
	}
	switch err {
	case nil, errWait:
	case io.EOF:
		b.over = true
	default:
		b.broken = err
	}
	return n, err
}

// errWait is no error: nothing is at hand, and whoever reads does not want to wait.
var errWait = errors.New("nothing is at hand")

func (c *conn) attempt(p []byte) (int, bool, error) {
	c.trying = true
	n, err := c.read(p)
	c.trying = false
	if err == errWait {
		return 0, false, nil
	}
	return n, true, err
}

// awaitMore waits with the connection's own buffer, which is there in any case. How that has ended is for the next read to say.
func (c *conn) awaitMore() {
	n, err := c.waitInto(c.room(c.pool.server.config.MaxHeaderBytes))
	c.w += n
	c.awaited = err
}

func (c *conn) readCounted(p []byte) (n int, err error) {
	b := &c.body
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if len(p) > 0 {
		n, err = c.take(p)
		b.left -= int64(n)
	}
	if err == nil && b.left == 0 {
		err = io.EOF
	}
	return n, err
}

// readRest reads what ends with the connection. TLS says so if it was cut off.
func (c *conn) readRest(p []byte) (int, error) {
	n, err := c.take(p)
	closed, ok := err.(*ClosedError)
	if !ok || closed.Err != io.EOF {
		return n, err
	}
	if c.wasReset() {
		return n, &ClosedError{syscall.ECONNRESET}
	}
	return n, io.EOF
}

// wasReset reports whether what looks like the end of the connection is a reset. A socket tells its error once, and if it was who
// sends the request that was told, reading finds nothing but an end. Nobody has use for the rest of the request any more.
func (c *conn) wasReset() bool {
	if c.send != nil {
		c.watch.abort(errStopped)
		c.send.settle()
	}
	return c.reset.Load()
}

// noteWrite remembers what only a failed write is told.
func (c *conn) noteWrite(err error) {
	if errors.Is(err, syscall.ECONNRESET) {
		c.reset.Store(true)
	}
}

// take reads content that is there, or waits for some.
func (c *conn) take(p []byte) (int, error) {
	if c.r == c.w {
		if len(p) >= direct {
			return c.wait(p)
		}
		if err := c.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in[c.r:c.w])
	c.r += n
	return n, nil
}

// wait reads content from the connection, within the limits.
func (c *conn) wait(p []byte) (int, error) {
	if c.awaited != nil {
		return 0, c.awaited
	}
	if c.onWait != nil || c.trying {
		if n, ok, err := c.try(p); err != nil {
			return 0, c.readError(err)
		} else if ok {
			return n, nil
		}
		if c.trying && (c.plain != nil || c.under != nil) {
			return 0, errWait
		}
		if c.onWait != nil {
			c.onWait() // the time that it takes is not the server's
		}
	}
	return c.waitInto(p)
}

func (c *conn) waitInto(p []byte) (int, error) {
	idle := c.pool.server.config.Idle
	if idle != 0 {
		c.watch.limit(idle, ErrIdle)
	}
	n, err := c.readNet(p)
	if idle != 0 {
		c.watch.limit(0, nil)
	}
	if err != nil {
		return n, c.readError(err)
	}
	return n, nil
}

// try reads what is at hand. It does not see deadlines, so that it asks itself whether the exchange has been stopped.
func (c *conn) try(p []byte) (int, bool, error) {
	switch {
	case c.watch.why() != nil:
	case c.plain != nil:
		return c.plain.TryRead(p)
	case c.under != nil:
		// TLS may have to say something before it reads on, and then it waits for what is being sent.
		idle := c.pool.server.config.Idle
		if idle != 0 {
			c.watch.limit(idle, ErrIdle)
			defer c.watch.limit(0, nil)
		}
		return c.under.try(c.net, p)
	}
	return 0, false, nil
}

// more waits for more in the buffer.
func (c *conn) more() error {
	n, err := c.wait(c.room(c.pool.server.config.MaxHeaderBytes))
	c.w += n
	return err
}

// buffered reports whether read would not wait.
func (c *conn) buffered() bool {
	b := &c.body
	switch {
	case b.kind == noContent || b.over || b.broken != nil:
		return true
	case b.kind != byChunks:
		return c.r < c.w || b.kind == byLength && b.left == 0
	}
	ready, err := c.advance()
	if err != nil {
		b.broken = err
		return true
	}
	return b.over || ready && c.r < c.w
}

// finished reports whether the content has come to its end, taking into account what is at hand.
func (c *conn) finished() bool {
	b := &c.body
	if b.broken != nil {
		return false
	}
	switch b.kind {
	case byLength:
		if at := int64(c.w - c.r); b.left <= at {
			c.r += int(b.left)
			b.left, b.over = 0, true
		}
		return b.over
	case byChunks:
		for !b.over {
			ready, err := c.advance()
			if err != nil || !b.over && (!ready || c.r == c.w) {
				return false
			}
			n := int(min(int64(c.w-c.r), b.chunks.Left()))
			c.r += n
			b.chunks.Take(n)
		}
		return true
	case untilClose:
		return b.over
	}
	return true
}
