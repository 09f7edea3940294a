package gateway

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// An h1body is the content of a request over HTTP/1.1. It is read from the connection as it is asked for.
type h1body struct {
	rq       *h1exchange
	chunked  bool
	left     int64        // of the announced length
	chunks   http1.Chunks // where there is none
	from     int          // in[from:to] of the connection is content that is decoded
	to       int
	ended    bool  // it was read to its end. Written with the connection's lock held
	broken   error // how it broke off
	stopped  atomic.Bool
	trailers message.Fields
	until    time.Time // when reading ends, whatever comes; zero: it does not
}

// begin is called when the header section is there. length is the request's.
func (b *h1body) begin(rq *h1exchange, length int64) {
	*b = h1body{rq: rq, chunked: length < 0, left: max(0, length), ended: length == 0}
}

// Read reads content, within timeouts.body.
func (b *h1body) Read(p []byte) (n int, err error) {
	switch {
	case b.stopped.Load():
		return 0, message.ErrStopped
	case b.ended:
		return 0, io.EOF
	case b.broken != nil:
		return 0, b.broken
	case len(p) == 0:
		return 0, nil
	}
	if b.chunked {
		n, err = b.readChunked(p)
	} else {
		n, err = b.readCounted(p)
	}
	switch err {
	case nil, message.ErrStopped:
	case io.EOF:
		b.trailers = honest(b.chunks.Trailers()).Without(b.rq.parser.Names)
		b.rq.c.mu.Lock()
		b.ended = true
		b.rq.c.mu.Unlock()
	default:
		b.broken = err
	}
	return n, err
}

// direct is how much room makes it worth while to read into the caller's memory without the detour.
const direct = inputSize

func (b *h1body) readCounted(p []byte) (n int, err error) {
	c := b.rq.c
	p = p[:min(int64(len(p)), b.left)]
	switch {
	case c.r < c.w:
		n = copy(p, c.in[c.r:c.w])
		c.r += n
	case len(p) >= direct:
		n, err = c.read(p, b.due())
	default:
		if err = c.fill(b.due()); err == nil {
			n = copy(p, c.in[c.r:c.w])
			c.r += n
		}
	}
	b.left -= int64(n)
	if err != nil {
		return n, b.failed(err)
	}
	if b.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (b *h1body) readChunked(p []byte) (int, error) {
	c := b.rq.c
	for b.from == b.to {
		if err := b.decode(); err != nil {
			return 0, err
		}
		if b.from < b.to {
			break
		}
		if b.chunks.Over() {
			return 0, io.EOF
		}
		if c.r == c.w && b.chunks.Left() > inputSize && len(c.in) < keptInput {
			c.in = make([]byte, keptInput)
		}
		if err := c.fill(b.due()); err != nil {
			return 0, b.failed(err)
		}
	}
	n := copy(p, c.in[b.from:b.to])
	if b.from += n; b.from == b.to && b.chunks.Over() {
		return n, io.EOF
	}
	return n, nil
}

// decode turns what is at hand of the chunked coding into content, where it stands: what is decoded moves up to what was decoded before
// it. An error comes when all that stands before it was read.
func (b *h1body) decode() error {
	c := b.rq.c
	for !b.chunks.Over() {
		used, ready, err := b.chunks.Advance(c.in[c.r:c.w], maxHeaderBytes)
		c.r += used
		n := int(min(b.chunks.Left(), int64(c.w-c.r)))
		switch {
		case err != nil && b.from < b.to:
			return nil
		case err != nil:
			return err
		case !ready || n == 0:
			return nil
		}
		if b.from == b.to {
			b.from, b.to = c.r, c.r
		}
		copy(c.in[b.to:], c.in[c.r:c.r+n])
		b.to += n
		c.r += n
		b.chunks.Take(n)
	}
	return nil
}

// due is when what is read next has to come. Whoever reads waits from here on: a client that waits for a 100 gets it.
func (b *h1body) due() time.Time {
	b.rq.sendContinue()
	limit := b.rq.rules.timeouts.Body
	switch {
	case !b.until.IsZero():
		return b.until
	case limit == 0:
		return time.Time{}
	}
	return time.Now().Add(limit)
}

// failed says what an error of reading means.
func (b *h1body) failed(err error) error {
	switch err {
	case errLate:
		return message.ErrBodyTimeout
	case errHalted:
		return message.ErrStopped
	case io.EOF:
		return io.ErrUnexpectedEOF // the client may still read
	}
	b.rq.cancel()
	return message.ErrGone
}

// Stop ends a read that is under way, and all later ones.
func (b *h1body) Stop() {
	c := b.rq.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !b.ended {
		b.stopped.Store(true)
		c.halt()
	}
}

// Trailers are complete when Read has returned io.EOF.
func (b *h1body) Trailers() message.Fields {
	return b.trailers
}

// AtHand is how much can be read without waiting, and whether that is all.
func (b *h1body) AtHand() (n int, end bool) {
	c := b.rq.c
	switch {
	case b.ended:
		return 0, true
	case !b.chunked:
		n := min(b.left, int64(c.w-c.r))
		return int(n), n == b.left
	}
	if err := b.decode(); err != nil {
		return 0, false // Read tells
	}
	return b.to - b.from, b.chunks.Over()
}

// drain takes in what nobody has read, so that the connection can be used again. It returns false when that is too much.
func (b *h1body) drain() bool {
	if b.ended {
		return true
	}
	if b.left > drainSize || b.broken != nil {
		return false
	}
	b.stopped.Store(false)
	b.until = time.Now().Add(drainFor)
	buf := borrow(largeBuffer)
	defer putBack(buf)
	for sum := 0; sum <= drainSize; {
		n, err := b.Read(buf)
		if err != nil {
			return err == io.EOF
		}
		sum += n
	}
	return false
}
