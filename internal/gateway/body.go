package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A body is the content of a request, with a limit on how long the client may send nothing of it. A long upload that
// moves is fine; one that stalls ends.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
	http1   bool
	timer   *time.Timer // of HTTP/2 and 3
	failed  atomic.Pointer[error]

	mu     sync.Mutex // of HTTP/1.1: held while reading
	closed bool
}

// watch puts the limit on the request's content. On HTTP/1.1 it begins at once: the server itself reads what a handler
// leaves, before it sends an answer.
func (x *exchange) watch(r *http.Request) {
	limit := x.rules.timeouts.Body
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || limit == 0 {
		return
	}
	b := &body{ReadCloser: r.Body, control: http.NewResponseController(x.ResponseWriter), limit: limit, http1: r.ProtoMajor == 1}
	if b.http1 {
		b.control.SetReadDeadline(time.Now().Add(limit))
	}
	r.Body = b
	x.body = b
}

func (b *body) Read(p []byte) (int, error) {
	if b.http1 {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		b.control.SetReadDeadline(time.Now().Add(b.limit))
	} else {
		b.arm()
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case !b.http1:
		b.timer.Stop()
	case err == io.EOF:
		// From now on net/http reads in the background to see the client go away: that may last.
		b.control.SetReadDeadline(time.Time{})
	}
	if err != nil && err != io.EOF {
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close waits for a read that is under way on HTTP/1.1, as net/http's own bodies do: a later one would move the deadline of
// the connection's next request.
func (b *body) Close() error {
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
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, func() { b.control.SetReadDeadline(time.Unix(1, 0)) })
		return
	}
	b.timer.Reset(b.limit)
}

// fault says what the client did wrong in sending the content: 408 or 400; 0: nothing that is known.
func (b *body) fault() int {
	if b == nil {
		return 0
	}
	err := b.failed.Load()
	switch {
	case err == nil || errors.Is(*err, http.ErrBodyReadAfterClose):
		return 0
	case errors.Is(*err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
