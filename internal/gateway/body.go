package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A body is the content of a request over HTTP/3, with a limit on how long the client may send nothing of it. A long upload that
// moves is fine; one that stalls ends.
type body struct {
	io.ReadCloser
	request *http.Request // for its trailers
	control *http.ResponseController
	silence stall

	reading  atomic.Bool
	unwanted atomic.Bool
}

func newBody(w http.ResponseWriter, r *http.Request, limit time.Duration) *body {
	b := &body{ReadCloser: r.Body, request: r, control: http.NewResponseController(w)}
	// A deadline breaks the stream even when nobody reads, as when the upstream is slow to take what is there already: so it is only set when
	// a read has lasted too long.
	b.silence.limit, b.silence.late = limit, b.interrupt
	return b
}

// Trailers are complete when Read has returned io.EOF.
func (b *body) Trailers() message.Fields {
	if len(b.request.Trailer) == 0 {
		return nil
	}
	return honest(fieldsOf(b.request.Trailer))
}

// How long a request that should have no content may leave it open whether it has.
const peekFor = 200 * time.Millisecond

// isEmpty looks whether content comes. quic-go does not tell from the header section whether the stream ends with it; it mostly
// does, and the request goes on without content then.
func (b *body) isEmpty() bool {
	n, err := b.peek()
	return n == 0 && err == io.EOF
}

// isWrong looks whether something else than the end comes of a content whose length is said to be 0. (Of others, quic-go tells when they
// are read.) quic-go ends the request's context, too, where content comes, but not at once: that context says nothing of who is at fault.
func (b *body) isWrong() bool {
	n, err := b.peek()
	if n == 0 && err == nil { // it was a trailer section
		_, err = b.peek()
	}
	return err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed)
}

// peek reads the first of what comes soon.
func (b *body) peek() (n int, err error) {
	b.control.SetReadDeadline(time.Now().Add(peekFor))
	var one [1]byte
	n, err = b.ReadCloser.Read(one[:])
	b.control.SetReadDeadline(time.Time{})
	if n > 0 {
		b.ReadCloser = &pushedBack{b.ReadCloser, one[:n]}
	}
	return n, err
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
	b.reading.Store(true)
	b.silence.begin()
	if b.unwanted.Load() {
		b.interrupt()
	}
	n, err := b.ReadCloser.Read(p)
	b.reading.Store(false)
	b.silence.end()
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

// Close is Stop, and lets go of the content.
func (b *body) Close() error {
	b.Stop()
	return b.ReadCloser.Close()
}

func (b *body) interrupt() { b.control.SetReadDeadline(time.Unix(1, 0)) }
