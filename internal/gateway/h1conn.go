package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/accesslog"
	"github.com/usher-http/usher/internal/http1"
)

// An h1conn drives one connection of HTTP/1.1. One goroutine reads requests, runs their exchanges in place, one after the other, and
// answers. What it needs only while something is under way comes from a pool and goes back when the connection rests.
type h1conn struct {
	server *tcpServer
	nc     net.Conn // *tls.Conn, or raw itself
	raw    *conn
	facts  *usher.Connection
	client *peer
	since  time.Time   // from when on the first request was awaited
	heard  time.Time   // when something came last
	empty  bool        // an empty line before the next request was passed over
	rq     *h1exchange // nil: the connection rests

	// What was read and not used up is in[r:w]. It is the goroutine's, and that of whoever reads the body; while an exchange waits and
	// its body has ended, it is look's.
	in   []byte
	r, w int

	leaving atomic.Bool // there will be no further request

	mu       sync.Mutex // of everything below
	deadline time.Time  // of reading, as it is set; zero: there is none
	stale    bool       // it has passed
	reading  bool
	halted   bool // reading is to stop
	idle     bool // the next request is awaited, and nothing of it has come
	served   bool // there was a request
	closed   bool
	waiting  bool          // the exchange waits for something: it can be cancelled, and the client may go away meanwhile
	blind    bool          // nobody looks whether it does
	from     time.Time     // since when it waits
	timer    *time.Timer   // runs look
	armed    bool          // it will
	looking  chan struct{} // closed when look has returned; nil: it does not run

	small [512]byte // what a resting connection reads into
}

const (
	// What the buffer of a connection begins with, and may be when it is kept.
	inputSize, keptInput = 4 << 10, 16 << 10
	// How long, at most, a connection that ends is read to let the client take in the last answer (RFC 9112 section 9.6).
	h1LingerFor = 2 * time.Second
	// How much of a content that nobody wants is taken in, and for how long, so that the connection can be used again.
	drainSize = 256 << 10
	drainFor  = 5 * time.Second
)

var (
	errHalted = errors.New("reading was stopped")
	errLate   = errors.New("nothing came in time")
)

// aLongTimeAgo is a deadline that unblocks who reads.
var aLongTimeAgo = time.Unix(1, 0)

// newH1Conn makes the driver of a connection whose first request is awaited from since on.
func newH1Conn(s *tcpServer, nc net.Conn, raw *conn, client *peer, since time.Time) *h1conn {
	return &h1conn{server: s, nc: nc, raw: raw, facts: raw.facts, client: client, since: since}
}

// serve serves requests until the connection ends. first is what was read already.
func (c *h1conn) serve(first []byte) {
	defer c.end()
	c.wake()
	c.w = copy(c.in, first)
	c.heard = time.Now()
	for c.next() && c.exchange() {
	}
}

// end lets go of the connection.
func (c *h1conn) end() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.nc.Close()
	c.rest()
	c.server.forget(c)
}

// wake gets what a connection needs to work.
func (c *h1conn) wake() {
	c.rq = h1exchanges.Get().(*h1exchange)
	c.rq.c = c
	c.in = c.rq.in
}

// rest is wake's opposite. Nothing is in the buffer.
func (c *h1conn) rest() {
	if c.rq == nil {
		return
	}
	if cap(c.in) > keptInput {
		c.in = make([]byte, inputSize)
	}
	c.rq.in, c.rq.c = c.in, nil
	h1exchanges.Put(c.rq)
	c.rq, c.in, c.r, c.w = nil, nil, 0, 0
}

// next reads up to the end of the header section of a request. It returns false when the connection is to end.
func (c *h1conn) next() bool {
	if c.r < c.w {
		c.heard = time.Now() // it was sent ahead; its time begins now
	}
	for {
		if c.r == c.w && !c.await() {
			return false
		}
		// RFC 9112 section 2.2: "In the interest of robustness, a server that is expecting to receive and parse a request-line SHOULD
		// ignore at least one empty line (CRLF) received prior to the request-line." One it is.
		if c.empty || c.in[c.r] != '\r' {
			break
		}
		if c.w-c.r == 1 {
			if c.fill(c.headerDue()) != nil {
				return false
			}
			continue
		}
		c.empty = true
		if c.in[c.r+1] == '\n' {
			c.r += len("\r\n")
		}
	}
	due := c.headerDue()
	var scan http1.Scan
	for {
		n, err := scan.End(c.in[c.r:c.w])
		if n > maxHeaderBytes || n == 0 && c.w-c.r >= maxHeaderBytes {
			err = tooLarge(c.in[c.r:c.w])
		}
		if n > 0 && err == nil {
			err = c.rq.parse(c.in[c.r : c.r+n])
		}
		if err != nil {
			c.refuse(err)
			return false
		}
		if n > 0 {
			c.r += n
			c.empty = false
			return true
		}
		switch err := c.fill(due); err {
		case nil:
			continue
		case io.EOF:
			c.refuse(errCut)
		case errLate:
			c.refuse(errLateHeader)
		}
		return false
	}
}

// tooLarge says what is too large in a header section beyond the limit.
func tooLarge(section []byte) error {
	if bytes.IndexByte(section[:min(len(section), maxHeaderBytes)], '\n') < 0 {
		return http1.ErrTargetTooLong
	}
	return http1.ErrTooLarge
}

var (
	errCut        = &http1.Error{Status: http.StatusBadRequest, Reason: "a header section that breaks off"}
	errLateHeader = &http1.Error{Status: http.StatusRequestTimeout, Reason: lateHeader}
)

const lateHeader = "a header section that did not come in time"

// headerDue is when the header section that has begun has to be complete; zero: at any time.
func (c *h1conn) headerDue() time.Time {
	limit := c.server.timeouts.Header
	switch {
	case limit == 0:
		return time.Time{}
	case !c.served: // nobody else writes it
		return c.since.Add(limit)
	}
	return c.heard.Add(limit)
}

// await waits for the first bytes of a request. It returns false when the connection is to end.
func (c *h1conn) await() bool {
	c.mu.Lock()
	c.idle = true
	leaving, served := c.leaving.Load(), c.served
	c.mu.Unlock()
	defer c.unhalt()
	if leaving && served {
		return false
	}
	now := time.Now()
	due := c.headerDue()
	if served {
		due = time.Time{}
		if limit := c.server.timeouts.Idle; limit > 0 {
			due = now.Add(limit)
		}
	}
	c.r, c.w = 0, 0
	first := now.Add(restAfter)
	rests := due.IsZero() || first.Before(due)
	if !rests {
		first = due
	}
	n, err := c.read(c.in, first)
	if err == errLate && rests {
		c.rest()
		if n, err = c.read(c.small[:], due); err == nil {
			c.wake()
			copy(c.in, c.small[:n])
		}
	}
	c.w = n
	return err == nil
}

// unhalt is the end of a time in which reading could be stopped.
func (c *h1conn) unhalt() {
	c.mu.Lock()
	c.idle, c.halted = false, false
	c.mu.Unlock()
}

// fill reads more into the buffer, which may grow as large as a header section may be.
func (c *h1conn) fill(due time.Time) error {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w == len(c.in) && c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) {
		grown := make([]byte, min(2*len(c.in), maxHeaderBytes+inputSize))
		copy(grown, c.in[:c.w])
		c.in = grown
	}
	n, err := c.read(c.in[c.w:], due)
	c.w += n
	return err
}

// read reads at least one byte, by due, or returns an error: errLate, errHalted or the connection's. Zero: at any time. One goroutine
// at a time reads.
func (c *h1conn) read(p []byte, due time.Time) (int, error) {
	for {
		c.mu.Lock()
		if c.halted {
			c.mu.Unlock()
			return 0, errHalted
		}
		c.limitRead(due)
		c.reading = true
		c.mu.Unlock()
		n, err := c.nc.Read(p)
		late := err != nil && isTimeout(err)
		c.mu.Lock()
		c.reading = false
		c.stale = c.stale || late
		c.mu.Unlock()
		switch {
		case n > 0:
			c.heard = time.Now()
			return n, nil
		case err == nil:
		case !late:
			return 0, err
		case !due.IsZero() && !time.Now().Before(due):
			return 0, errLate
		}
	}
}

// limitRead sets the deadline of the next read. Setting one costs more than comparing, so one that comes too early stays: when it
// fires, nothing has to be done yet, and the next is set. The lock is held.
func (c *h1conn) limitRead(due time.Time) {
	if c.stale || !due.IsZero() && (c.deadline.IsZero() || due.Before(c.deadline)) {
		c.stale, c.deadline = false, due
		c.nc.SetReadDeadline(due)
	}
}

// halt stops who reads, until unhalt. The lock is held.
func (c *h1conn) halt() {
	c.halted = true
	if c.reading {
		c.stale, c.deadline = true, aLongTimeAgo
		c.nc.SetReadDeadline(aLongTimeAgo)
	}
}

// exchange answers the request that next has read. It returns false when the connection is to end.
func (c *h1conn) exchange() bool {
	c.mu.Lock()
	c.served = true
	c.mu.Unlock()
	defer c.rq.recycle()
	c.rq.run()
	c.unhalt()
	return c.settle()
}

// settle does what is left to do when a request was answered.
func (c *h1conn) settle() bool {
	rq := c.rq
	switch {
	case rq.tunnelled:
		return false
	case !rq.complete || rq.broken != nil:
		c.breakOff()
		return false
	case rq.keep && rq.body.drain():
		return true
	case !rq.body.ended || rq.parser.Persistent:
		// The client may be sending still, and would lose the answer if that met a closed socket.
		c.linger()
	}
	return false
}

// breakOff ends the connection so that nobody takes for whole what is not: without TLS's farewell, and with a reset where the end of
// the connection would be that of the content.
func (c *h1conn) breakOff() {
	if hard, ok := c.raw.Conn.(interface{ SetLinger(sec int) error }); ok && c.rq.framing == untilClose {
		hard.SetLinger(0)
	}
	c.raw.Close()
}

// linger ends the connection in stages (RFC 9112 section 9.6: "the server first performs a half-close by closing only the write side
// of the read/write connection. The server then continues to read from the connection until it receives a corresponding close by the
// client").
func (c *h1conn) linger() {
	if c.nc != net.Conn(c.raw) {
		c.nc.(interface{ CloseWrite() error }).CloseWrite()
	}
	c.raw.CloseWrite()
	c.raw.Conn.SetReadDeadline(time.Now().Add(h1LingerFor))
	io.Copy(io.Discard, c.raw.Conn)
}

// refuse answers bytes that are no good request, which begin at c.r, and ends the connection: nobody knows where another one would begin.
func (c *h1conn) refuse(err error) {
	status := http.StatusBadRequest
	if wrong := (*http1.Error)(nil); errors.As(err, &wrong) {
		status = wrong.Status
	}
	c.server.debug(fmt.Errorf("HTTP/1.1 from %s: %w", c.client.remote, err))
	text := strconv.Itoa(status) + " " + phraseOf(status)
	method, path := http1.RequestLine(c.in[c.r:c.w])
	c.server.entry.malformed(&accesslog.Line{
		Proto: "h1", Remote: c.client.remote, Method: method, Path: path, Status: status, Bytes: int64(len(text) + 1), Error: err.Error(),
	}, c.facts, c.heard)
	b := http1.AppendStatusLine(nil, status, phraseOf(status))
	b = http1.AppendField(b, "content-type", "text/plain; charset=utf-8")
	b = http1.AppendLength(b, int64(len(text)+1))
	b = http1.AppendField(b, "cache-control", "no-store")
	b = http1.AppendField(b, "date", httpDate(time.Now()))
	b = append(b, "Connection: close\r\n\r\n"...)
	b = append(b, text...)
	if _, err := c.nc.Write(append(b, '\n')); err == nil {
		c.linger()
	}
}

// leave begins the graceful end: a connection that waits for a request ends now, another one with its answer. One that has just been
// made has a request on the way, most likely.
func (c *h1conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving.Store(true)
	if c.idle && (c.served || time.Since(c.since) > silentFor) {
		c.halt()
	}
}

// close ends the connection at once.
func (c *h1conn) close() {
	c.mu.Lock()
	c.closed = true
	if c.waiting {
		c.rq.cancel()
	}
	c.mu.Unlock()
	c.raw.Conn.Close()
}
