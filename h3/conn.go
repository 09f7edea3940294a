package h3

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A conn is one connection. Each has an http3.Server of its own, because that is the only thing in quic-go that can send
// GOAWAY.
type conn struct {
	server  *Server
	quic    *quic.Conn
	http    *http3.Server
	schemes *schemes
	begun   chan struct{} // closed when http serves the connection

	mu       sync.Mutex
	requests int           // begun and not yet delivered to QUIC
	timer    *time.Timer   // for as long as requests is 0; nil: no limit
	answered time.Time     // when the last response was delivered to QUIC
	ending   bool          // GOAWAY was sent, or will be in a moment
	rest     chan struct{} // made by drain, closed when requests becomes 0
}

func newConn(s *Server, qc *quic.Conn) *conn {
	c := &conn{server: s, quic: qc, schemes: schemesOf(qc.Context()), begun: make(chan struct{})}
	c.http = &http3.Server{
		Handler:        c,
		MaxHeaderBytes: s.MaxHeaderBytes,
		Logger:         s.Logger,
		ConnContext: func(ctx context.Context, _ *quic.Conn) context.Context {
			close(c.begun)
			return ctx
		},
	}
	return c
}

// serve returns when the connection and all its requests have ended.
func (c *conn) serve() {
	defer c.server.gone(c)
	if d := limit(c.server.HeaderTimeout, defaultHeaderTimeout); d > 0 {
		c.mu.Lock()
		c.timer = time.AfterFunc(d, c.end)
		c.mu.Unlock()
	}
	err := c.http.ServeQUICConn(c.quic)
	c.close() // http3 leaves it open where it could not open the control stream
	c.stopTimer()
	if err != nil {
		c.server.debug(c.quic.Context(), "connection ended", "remote", c.quic.RemoteAddr(), "error", err)
	}
}

// close ends the connection now.
func (c *conn) close() {
	c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// ServeHTTP takes a request from quic-go.
func (c *conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.begin()
	// quic-go writes the rest of a response after the handler has returned, and closes the stream then, which ends the
	// context. A stream that the handler has taken over ends it when its new owner closes it.
	defer func() { context.AfterFunc(r.Context(), c.delivered) }()
	scheme, seen := c.schemes.takeFor(r)
	if seen && scheme == "" && r.Method != http.MethodConnect {
		// "All HTTP/3 requests MUST include exactly one value for the :method, :scheme, and :path pseudo-header fields, unless
		// the request is a CONNECT request" (RFC 9114 section 4.3.1).
		c.server.debug(r.Context(), "request without :scheme", "remote", r.RemoteAddr)
		abort(w, http3.ErrCodeMessageError)
		return
	}
	// Where nothing was seen, the scheme stays empty, and the guard refuses the request as no_facts.
	r.URL.Scheme = scheme
	out := &response{ResponseWriter: w}
	defer func() {
		out.clean()
		if out.closing {
			c.end()
		}
	}()
	c.server.handler.ServeHTTP(out, r)
}

// abort resets a stream before anything was sent on it.
func abort(w http.ResponseWriter, code http3.ErrCode) {
	stream, err := w.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	stream.CancelRead(quic.StreamErrorCode(code))
	stream.CancelWrite(quic.StreamErrorCode(code))
}

func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.requests == 1 && c.timer != nil {
		c.timer.Stop()
	}
}

func (c *conn) delivered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests--
	c.answered = time.Now()
	if c.requests > 0 {
		return
	}
	if c.rest != nil {
		close(c.rest)
		c.rest = nil
	}
	if c.ending {
		return
	}
	d := limit(c.server.IdleTimeout, defaultIdleTimeout)
	switch {
	case d == 0:
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.end)
	default:
		c.timer.Reset(d)
	}
}

func (c *conn) stopTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	if c.timer != nil {
		c.timer.Stop()
	}
}
