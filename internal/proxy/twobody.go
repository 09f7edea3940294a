package proxy

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// A twoBody is the content of a request for x/net, which reads it in a goroutine of its own.
type twoBody struct {
	exchange *twoExchange
	kept     *kept
	body     message.Body
	again    []byte // what is left of kept content that is sent again; body is not read then
	replay   bool
	length   int64 // what was announced; -1: nothing
	left     int64
	keep     bool
	trailer  http.Header

	reading atomic.Bool
	closed  atomic.Bool
	mu      sync.Mutex // held while it is read
}

func newTwoBody(x *twoExchange, r *message.Request) *twoBody {
	k := &x.call.content
	return &twoBody{
		exchange: x,
		kept:     k,
		body:     r.Body,
		again:    k.data,
		replay:   k.whole,
		length:   r.Length,
		left:     r.Length,
		keep:     r.Length <= maxKept && !k.whole, // also of methods that are not idempotent: nothing of them may have been processed
		trailer:  announced(r.Fields),
	}
}

// readAtHand reads a small content all of which has come, so that the request can be sent again whenever the server says that it has not
// processed it.
func (b *twoBody) readAtHand() error {
	body, ok := b.body.(AtHand)
	if !ok || !b.keep {
		return nil
	}
	n, end := body.AtHand()
	if !end || n > maxKept {
		return nil
	}
	if b.length >= 0 && int64(n) != b.length {
		return ErrBodyLength
	}
	p := make([]byte, n)
	b.kept.taken = true
	if _, err := io.ReadFull(b.body, p); err != nil {
		return err
	}
	if err := expectEOF(b.body); err != nil {
		return err
	}
	b.kept.add(p)
	b.kept.complete(b.body.Trailers())
	b.again, b.replay = b.kept.data, true
	return nil
}

// announced are the trailers that are announced, for x/net, which announces what it finds here before the content is read.
func announced(f message.Fields) http.Header {
	h := make(http.Header)
	for name := range f.Tokens("trailer") {
		h[http.CanonicalHeaderKey(name)] = nil
	}
	return h
}

func (b *twoBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading.Store(true)
	defer b.reading.Store(false)
	if b.closed.Load() {
		return 0, errStopped
	}
	if b.replay {
		return b.readAgain(p)
	}
	x := b.exchange
	x.watch.sending(0) // the client's own limits are what counts here
	n, err := b.body.Read(p)
	x.watch.sending(x.server.config.FirstByte)
	b.kept.taken = true
	if b.length >= 0 {
		b.left -= int64(n)
		if err == nil && b.left == 0 {
			// x/net asks for the end before it sends the last piece. What ends the exchange in between would leave a content
			// behind of which all is here, and that could not be sent again.
			if err = expectEOF(b.body); err == nil {
				err = io.EOF
			}
		}
		if b.left < 0 || err == io.EOF && b.left > 0 {
			n, err = 0, ErrBodyLength
		}
	}
	if b.keep {
		b.kept.add(p[:n])
	}
	switch {
	case err == io.EOF:
		b.complete(b.body.Trailers())
	case err != nil:
		if !b.closed.Load() {
			x.watch.abort(&BodyError{err})
		}
	}
	return n, err
}

func (b *twoBody) complete(trailers message.Fields) {
	if b.keep {
		b.kept.complete(trailers)
	}
	b.setTrailers(trailers)
}

func (b *twoBody) setTrailers(trailers message.Fields) {
	for i := range trailers {
		if f := &trailers[i]; http1.MayTrail(f) {
			name := http.CanonicalHeaderKey(f.Name)
			b.trailer[name] = append(b.trailer[name], f.Value)
		}
	}
}

func (b *twoBody) readAgain(p []byte) (int, error) {
	n := copy(p, b.again)
	b.again = b.again[n:]
	if len(b.again) > 0 {
		return n, nil
	}
	clear(b.trailer)
	b.setTrailers(b.kept.trailers)
	return n, io.EOF
}

// Close is called by x/net when it wants no more of it, also while it is read.
func (b *twoBody) Close() error {
	b.closed.Store(true)
	if b.reading.Load() {
		b.body.Stop()
	}
	return nil
}

// finish closes it and waits until it is not read any more.
func (b *twoBody) finish() {
	b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
}
