package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A body is the content of a request of net/http's or quic-go's, with a limit on how long the client may send nothing of it. A
// long upload that moves is fine; one that stalls ends.
type body struct {
	io.ReadCloser
	request *http.Request // for its trailers
	control *http.ResponseController
	limit   time.Duration // 0: none
	http1   bool
	timer   *time.Timer // of HTTP/3

	reading  atomic.Bool
	unwanted atomic.Bool
	mu       sync.Mutex // of HTTP/1.1: held while reading
	closed   bool
}

// newBody puts the limit on the request's content. On HTTP/1.1 it begins at once: the server itself reads what a handler leaves,
// before it sends an answer.
func newBody(w http.ResponseWriter, r *http.Request, limit time.Duration) *body {
	b := &body{ReadCloser: r.Body, request: r, control: http.NewResponseController(w), limit: limit, http1: r.ProtoMajor == 1}
	if b.http1 && limit > 0 {
		b.control.SetReadDeadline(time.Now().Add(limit))
	}
	return b
}

// Trailers are complete when Read has returned io.EOF.
func (b *body) Trailers() message.Fields {
	if len(b.request.Trailer) == 0 {
		return nil
	}
	return honest(fieldsOf(b.request.Trailer))
}

// How long a request of HTTP/3 that should have no content may leave it open whether it has.
const peekFor = 200 * time.Millisecond

// isEmpty looks whether content comes. quic-go does not tell from the header section whether the stream ends with it; it mostly
// does, and the request goes on without content then.
func (b *body) isEmpty() bool {
	b.control.SetReadDeadline(time.Now().Add(peekFor))
	var one [1]byte
	n, err := b.ReadCloser.Read(one[:])
	b.control.SetReadDeadline(time.Time{})
	if n > 0 {
		b.ReadCloser = &pushedBack{b.ReadCloser, one[:n]}
	}
	return n == 0 && err == io.EOF
}

// pushedBack is content of which a piece was read before its time.
type pushedBack struct {
	io.ReadCloser
	first []byte
}

func (p *pushedBack) Read(q []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(q, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.ReadCloser.Read(q)
}

func (b *body) Read(p []byte) (int, error) {
	if b.http1 {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed {
			return 0, http.ErrBodyReadAfterClose
		}
	}
	b.reading.Store(true)
	b.arm()
	if b.unwanted.Load() {
		b.interrupt()
	}
	n, err := b.ReadCloser.Read(p)
	b.reading.Store(false)
	switch {
	case b.limit == 0:
	case !b.http1:
		b.timer.Stop()
	case err == io.EOF:
		// From now on net/http reads in the background to see the client go away: that may last.
		b.control.SetReadDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = message.ErrBodyTimeout
		if b.unwanted.Load() {
			err = message.ErrStopped
		}
	}
	return n, err
}

// Stop ends a read that is under way, for good.
func (b *body) Stop() {
	b.unwanted.Store(true)
	if b.reading.Load() {
		b.interrupt()
	}
}

// Close is Stop and, on HTTP/1.1, waits for a read that is under way: a later one would move the deadline of the connection's
// next request.
func (b *body) Close() error {
	b.Stop()
	if b.http1 {
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
	}
	return b.ReadCloser.Close()
}

// arm limits one read. A deadline of HTTP/2 breaks the stream even when nobody reads, as when the upstream is slow to
// take what is there already: so it is only set when a read has lasted too long.
func (b *body) arm() {
	switch {
	case b.limit == 0:
	case b.http1:
		b.control.SetReadDeadline(time.Now().Add(b.limit))
	case b.timer == nil:
		b.timer = time.AfterFunc(b.limit, func() { b.control.SetReadDeadline(time.Unix(1, 0)) })
	default:
		b.timer.Reset(b.limit)
	}
}

func (b *body) interrupt() { b.control.SetReadDeadline(time.Unix(1, 0)) }
