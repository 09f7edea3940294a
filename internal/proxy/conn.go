package proxy

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/tcpio"
)

const (
	inputSize = 4 << 10 // of a connection's buffer at rest
	outSize   = 4 << 10 // larger ones are let go when the connection rests

	// maxInterim is how many interim answers are taken before the final one.
	maxInterim = 100
)

// aLongTimeAgo is a deadline that unblocks everything.
var aLongTimeAgo = time.Unix(1, 0)

// A conn is one HTTP/1.1 connection. It belongs to one exchange at a time, whose answer lives in it: nothing is allocated for a
// request but the text of the answer's fields.
type conn struct {
	raw    net.Conn
	net    io.ReadWriteCloser // what is spoken on, TLS or the socket itself
	socket *tcpio.Socket      // of raw; nil: not known
	plain  *tcpio.Socket      // the same where it is spoken on; nil: TLS, or not known
	under  *underTLS          // nil: plaintext
	pool   *pool
	watch  watch

	in   []byte // what was read and not used up yet is in[r:w]
	r, w int
	out  []byte      // the header section of the request, and the content that went with it
	big  *sendBuffer // what out is part of; nil: it is not
	tail []byte      // the content, where it stands; nil: it is in out

	exchanges int           // that were begun
	rested    time.Duration // since when it has been idle

	// Of the exchange under way.
	call     *Call
	request  *message.Request // until the header section of the answer is there
	first    piece            // the content that is in out, or in tail
	send     *sender          // of the rest of the content; nil: there is no rest
	complete bool             // the request was sent to its end, by whoever runs Do
	unsent   bool             // out is sent when the answer is read
	nothing  bool             // of the request was sent: writing failed
	head     head
	body     content
	answer   Response
	onWait   func()      // see Response.OnWait
	trying   bool        // see Response.TryRead
	awaited  error       // how awaiting more has ended; nil: well
	reset    atomic.Bool // the server has reset it, as a write was told
	tunnel   bool        // after 101: nothing goes back to the pool
	gone     bool        // it is closed

	stander *stander // its goroutine, while it has one
}

// piece is where content is in out, and what it is.
type piece struct {
	from, to int
	whole    bool // it is all of it
	trailers message.Fields
}

func newConn(raw, secured net.Conn, p *pool) *conn {
	c := &conn{raw: raw, net: secured, socket: tcpio.Of(raw), pool: p, in: make([]byte, inputSize)}
	if secured == raw && c.socket != nil {
		c.plain = c.socket
	}
	c.watch.stop = func() { raw.SetDeadline(aLongTimeAgo) }
	return c
}

// staleError says that a connection that was used before ended before the answer began: most likely the server closed it while the
// request was on its way.
type staleError struct {
	err     error
	nothing bool // of the request was sent
}

func (e *staleError) Error() string { return e.err.Error() }
func (e *staleError) Unwrap() error { return e.err }

func (*conn) shared() bool { return false }

// exchange sends a request and waits for its answer's header section. The connection is closed where it fails.
func (c *conn) exchange(call *Call, r *message.Request) (*Response, error) {
	s := c.pool.server
	if r.Length > 0 && announces(r) {
		// Chunks have a place for trailers. Their content is as long as it was announced, which whoever sends it has to see to.
		chunked := *r
		chunked.Length = -1
		r = &chunked
	}
	c.call, c.request = call, r
	c.send, c.complete, c.unsent, c.nothing, c.first, c.tail = nil, false, false, false, piece{}, nil
	key := ""
	if r.Protocol == "websocket" && tunnels(r) && !r.Fields.Has("sec-websocket-key") {
		key = newWebSocketKey()
	}
	c.out = appendHead(c.out[:0], r, key)
	rest, err := c.takeAtHand(call, r)
	if err != nil {
		c.putBack() // nothing was written
		return nil, &BodyError{err}
	}
	c.exchanges++
	c.watch.begin(call.start(s.config.Whole))
	if err := call.attach(&c.watch); err != nil {
		c.discard()
		return nil, err
	}
	c.watch.sending(s.config.FirstByte)
	if c.unsent = !rest && c.plain != nil; !c.unsent {
		c.write(0)
	}
	if rest && c.complete {
		c.complete = false
		c.send = newSender(c, r)
		go c.send.run()
	}
	// When writing fails there may be an answer all the same, that says why.
	if err := c.await(r, key); err != nil {
		return nil, c.fail(err)
	}
	c.request = nil
	return &c.answer, nil
}

// fail ends an exchange that came to nothing.
func (c *conn) fail(err error) error {
	var stale *staleError
	if errors.As(err, &stale) || c.send != nil {
		c.watch.abort(err) // who still sends is stopped by this
	}
	if c.send != nil {
		if broken := c.send.settle(); broken != nil {
			err = broken
		}
	}
	if stale != nil {
		c.keepFirst()
	}
	c.discard()
	return err
}

// keepFirst keeps the content that went with the header section, for another attempt.
func (c *conn) keepFirst() {
	if c.first.whole && !c.call.content.whole {
		c.call.content.add(c.out[c.first.from:c.first.to])
		c.call.content.add(c.tail)
		c.call.content.complete(c.first.trailers)
	}
}

// quiet reports whether nothing has come on a connection that is idle. An end means that the server has closed it; bytes that nobody
// asked for would be taken for the answer to the next request. Where it cannot be known, a stale connection is found out when it is used.
func (c *conn) quiet() bool {
	if c.under != nil {
		return c.under.quiet(c.net)
	}
	return c.socket == nil || c.socket.Quiet()
}

// write sends the request from a place on.
func (c *conn) write(from int) {
	n, err := 0, error(nil)
	if from < len(c.out) {
		n, err = c.writeNet(c.out[from:])
		c.nothing = n == 0 && err != nil && from == 0
	}
	if tail := max(0, from-len(c.out)); err == nil && tail < len(c.tail) {
		_, err = c.writeNet(c.tail[tail:])
	}
	c.noteWrite(err)
	c.complete = err == nil
}

// ask sends the request and reads the first of its answer. It returns 0 where more has to be read.
func (c *conn) ask(p []byte) (int, error) {
	c.unsent = false
	a := c.plain.Ask(c.out, c.tail, p)
	switch {
	case a.Early && c.exchanges > 1: // it is not the answer to this request
		c.nothing = true
		return 0, io.EOF
	case a.Sent == len(c.out)+len(c.tail):
		c.complete = true
		return a.Read, a.Err
	case a.Err != nil:
		c.noteWrite(a.Err)
		c.nothing = a.Sent == 0
		return 0, nil // reading says more
	}
	c.write(a.Sent)
	return 0, nil
}

// await reads up to the end of the final answer's header section.
func (c *conn) await(r *message.Request, key string) error {
	for i := range maxInterim {
		n, err := c.readSection(i == 0 && c.exchanges > 1)
		if err != nil {
			return err
		}
		section := c.in[c.r : c.r+n]
		if err := c.head.parse(section); err != nil {
			return err
		}
		c.r += n
		switch {
		case c.head.status == 101:
			return c.switched(r, key)
		case c.head.status == 408 && i == 0 && c.exchanges > 1 && !hasContent(r) && !c.head.persistent:
			// It was for the connection, which had waited for too long (RFC 9110 section 15.5.9).
			return &staleError{err: &ClosedError{io.EOF}}
		case c.head.status >= 200:
			return c.answered(r)
		}
		if err := c.inform(); err != nil {
			return err
		}
	}
	return &MalformedError{"too many interim answers"}
}

// inform passes on an interim answer. It has no content, and one that says that it has is not to be trusted with the bytes that
// follow.
func (c *conn) inform() error {
	if c.head.chunked || c.head.length > 0 {
		return &MalformedError{"an interim answer with content"}
	}
	if c.call.Inform != nil {
		c.call.Inform(c.head.status, c.head.fields.Without(isLength))
	}
	c.watch.sending(c.pool.server.config.FirstByte)
	return nil
}

func isLength(name string) bool { return name == "content-length" }

// readSection reads until a whole header section is in the buffer, and returns its length. reused says that the connection may turn
// out to be stale.
func (c *conn) readSection(reused bool) (int, error) {
	most := c.pool.server.config.MaxHeaderBytes
	var scan http1.Scan
	for {
		n, err := scan.End(c.in[c.r:c.w])
		if n > most || n == 0 && c.w-c.r >= most {
			return 0, &MalformedError{"a header section that is too large"}
		}
		if n > 0 || err != nil {
			return n, asMalformed(err)
		}
		got, err := c.readNet(c.room(most))
		c.w += got
		if err != nil {
			if reused && c.w == c.r && c.watch.why() == nil {
				return 0, &staleError{c.readError(err), c.nothing}
			}
			return 0, c.readError(err)
		}
	}
}

// answered is called with the final answer's header section.
func (c *conn) answered(r *message.Request) error {
	c.watch.answered()
	h := &c.head
	c.answer = Response{Status: h.status, Fields: h.fields, Length: h.length, from: c}
	c.body = content{left: h.length}
	persistent := h.persistent
	switch {
	case h.status == 204:
		// What it says of content there cannot be: whoever believes it reads the next answer from another place.
		persistent = persistent && !h.chunked && h.length <= 0
		c.answer.Fields = h.fields.Without(isLength).Silent()
		c.answer.Length, c.answer.NoBody = 0, true
	case r.Method == "HEAD" || h.status == 304:
		c.answer.Fields, c.answer.NoBody = h.fields.Silent(), true
	case h.chunked:
		c.body.kind = byChunks
	case h.length >= 0:
		c.body.kind = byLength
	default:
		c.body.kind = untilClose
		persistent = false
	}
	c.body.persistent = persistent
	if h.status == 421 {
		c.keepFirst()
	}
	return nil
}

// room makes room in the buffer, which may grow to most bytes, and returns it.
func (c *conn) room(most int) []byte {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w == len(c.in) && c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) {
		grown := make([]byte, min(2*len(c.in), most+inputSize))
		c.w = copy(grown, c.in[:c.w])
		c.in = grown
	}
	return c.in[c.w:]
}

// readNet reads at least one byte, or returns an error.
func (c *conn) readNet(p []byte) (int, error) {
	if c.unsent {
		if n, err := c.ask(p); n > 0 || err != nil {
			return n, err
		}
	}
	if c.plain != nil {
		return c.plain.Read(p)
	}
	const patience = 100
	for range patience {
		if n, err := c.net.Read(p); n > 0 {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

func (c *conn) writeNet(p []byte) (int, error) {
	if c.plain != nil {
		return c.plain.Write(p)
	}
	return c.net.Write(p)
}

// readError says what an error of reading means.
func (c *conn) readError(err error) error {
	if why := c.watch.why(); why != nil {
		return why
	}
	return &ClosedError{err}
}

// discard closes the connection. It may be called again.
func (c *conn) discard() {
	if c.call != nil {
		c.call.detach()
		c.call = nil
	}
	if c.gone {
		return
	}
	c.gone = true
	c.release()
	c.watch.end()
	c.watch.forget()
	if c.stander != nil && c.stander.answering {
		return // it closes it
	}
	c.raw.Close() // without TLS's farewell: it could wait for a server that does not read
}

// close ends a connection that rests.
func (c *conn) close() {
	c.gone = true
	c.watch.forget()
	c.net.Close()
}

// putBack gives the connection to the pool after an exchange that left nothing behind.
func (c *conn) putBack() {
	if c.call != nil {
		c.call.detach()
		c.call = nil
	}
	if c.watch.end() != nil || c.r != c.w {
		c.discard()
		return
	}
	c.request, c.send, c.first, c.tail, c.onWait = nil, nil, piece{}, nil, nil
	c.answer = Response{}
	c.head.drop()
	if len(c.in) > inputSize {
		c.in = make([]byte, inputSize)
	}
	c.release()
	c.r, c.w = 0, 0
	if c.stander == nil || !c.stander.answering {
		c.pool.put(c)
	}
}
