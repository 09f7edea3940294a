package proxy

import (
	"errors"
	"io"

	"github.com/usher-http/usher/internal/message"
)

// A Response is the final answer to a request. It is valid until Close, which has to be called once. One goroutine at a time uses it.
type Response struct {
	Status int
	// Fields are without those that are about the connection. Content-Length is among them where the server sent it.
	Fields message.Fields
	// Length is how long the content is, or would have been (HEAD, 304); -1: that is not known.
	Length int64
	// NoBody says that there is no content, whatever Length says: HEAD, 204, 304, 101.
	NoBody bool
	// MayTrail says that trailers may follow although Length is 0: Read has to return io.EOF before that is known.
	MayTrail bool

	from source
}

// source is the connection that a Response comes by.
type source interface {
	read(p []byte) (int, error)
	attempt(p []byte) (n int, ok bool, err error)
	awaitMore()
	buffered() bool
	trailing() message.Fields
	tunnelling() (io.ReadWriteCloser, error)
	onWaiting(f func())
	finish()
}

// Read reads content. io.EOF, also together with the last bytes, says that it came to its proper end; every other error that it
// broke off.
func (res *Response) Read(p []byte) (int, error) { return res.from.read(p) }

// TryRead is Read that does not wait where that can be helped: ok is false where it would have to. Then Await waits for whatever comes next,
// and nobody needs a large buffer meanwhile. What was read is sent before that by whoever asks: OnWait's function is not called.
func (res *Response) TryRead(p []byte) (n int, ok bool, err error) { return res.from.attempt(p) }

// Await follows a TryRead that was not ok, and calls nobody. What ends the waiting is for the next one to say.
func (res *Response) Await() { res.from.awaitMore() }

// Buffered reports whether Read would not wait.
func (res *Response) Buffered() bool { return res.from.buffered() }

// OnWait has f called whenever Read is about to wait for the server, from within Read: what was read before can be sent meanwhile.
func (res *Response) OnWait(f func()) { res.from.onWaiting(f) }

// Trailers are the fields behind the content, complete once Read has returned io.EOF.
func (res *Response) Trailers() message.Fields { return res.from.trailing() }

// Tunnel takes the connection over after a 101. Closing the tunnel, or the Response, ends it.
func (res *Response) Tunnel() (io.ReadWriteCloser, error) { return res.from.tunnelling() }

// Close gives the connection back if the answer was read to its end and the request sent to its end; otherwise it closes it. The
// request's Body is not read any more when it returns.
func (res *Response) Close() { res.from.finish() }

var errNoTunnel = errors.New("the server has not switched protocols")

// errStopped is why content is not read on: nobody wants it any more.
var errStopped = errors.New("stopped")

func (c *conn) onWaiting(f func()) { c.onWait = f }

func (c *conn) trailing() message.Fields {
	if !c.body.over {
		return nil
	}
	return c.body.chunks.Trailers().Without(c.head.names)
}

func (c *conn) finish() {
	whole := c.finished() && c.body.persistent && c.watch.why() == nil
	if s := c.send; s != nil {
		if whole {
			whole = s.sent()
		}
		if !whole {
			c.watch.abort(errStopped)
		}
		s.settle()
	} else {
		whole = whole && c.complete
	}
	if whole && !c.tunnel {
		c.putBack()
	} else {
		c.discard()
	}
}
