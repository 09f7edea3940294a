package gateway

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/h2"
	"github.com/usher-http/usher/internal/message"
)

// An h2exchange is an exchange over the engine's HTTP/2: the Responder of its answer and the Body of its request. Everything but the
// exchange itself is guarded by the connection's lock.
type h2exchange struct {
	exchange
	c      *h2conn
	stream *h2.Stream
	// inPlace says that it runs in the goroutine that reads the connection, which holds the lock.
	inPlace  bool
	waits    *route // while it waits to be started; else nil
	lost     bool   // the stream or the connection is gone
	answered bool   // the answer is complete

	readable, writable waiter
	content            []byte // that has come and was not read
	read               int    // how much of it was read
	ended              bool   // no more of it will come
	stopped            bool   // nobody wants it
	tunnelled          bool   // it is not HTTP any more, and may rest
	trailers           message.Fields
	expects            bool  // the client waits for a 100 before it sends
	unsent             int   // bytes that were written since the last flush
	sent               int64 // bytes that had gone out when they last moved
	moved              time.Time
}

var h2exchanges = sync.Pool{New: func() any { return &h2exchange{readable: newWaiter(), writable: newWaiter()} }}

func newH2Exchange(c *h2conn, st *h2.Stream, r *message.Request) *h2exchange {
	rq := h2exchanges.Get().(*h2exchange)
	rq.c, rq.stream, rq.inPlace = c, st, true
	if r.Length != 0 {
		r.Body = rq
		expect, _ := r.Fields.Get("expect")
		rq.expects = strings.EqualFold(expect, "100-continue")
	} else {
		rq.ended = true
	}
	x := &rq.exchange
	x.entry, x.rules, x.request, x.out, x.client = c.server.entry, c.server.gateway.rules.Load(), r, rq, c.client
	x.proto, x.started = "h2", c.heard
	st.Value = rq
	c.server.gateway.flights.begin()
	return rq
}

// begin is the way of a request as far as it needs no waiting. It returns the route where the rest waits; nil: it is answered.
func (rq *h2exchange) begin() (waits *route) {
	x := &rq.exchange
	defer func() {
		if waits == nil {
			x.end()
		}
	}()
	q := usherRequest(x.request)
	x.verdict, x.conn = rq.c.facts.Decide(&q)
	at := x.admit()
	switch {
	case at == nil:
	case rq.c.crowded():
		x.fail(http.StatusServiceUnavailable)
	case at.action.waits():
		return at
	default:
		at.action.serve(x, at)
	}
	return nil
}

// crowded reports whether the client has to take what it was answered before it is answered more: all clients together leave too much.
// The lock is held.
func (c *h2conn) crowded() bool {
	return c.server.gateway.unsent.Full() && (c.running > 0 || c.session.Kept() > 0)
}

// finish lets go of the stream and of the exchange, which is used again. The lock is held.
func (rq *h2exchange) finish() {
	c, st := rq.c, rq.stream
	if !rq.lost {
		switch {
		case !rq.answered:
			st.Reset(h2.InternalError)
		case !rq.ended:
			// RFC 9113 section 8.1 lets servers reset the stream here, and some clients lose the answer then.
			st.Discard()
		}
	}
	if left := len(rq.content) - rq.read; left > 0 && !rq.lost {
		st.Consume(left)
	}
	c.keep(rq.read - len(rq.content))
	st.Value = nil
	st.Release()
	c.worked = time.Now()
	c.server.gateway.flights.end()
	rq.recycle()
}

// recycle makes the exchange ready for another request. What costs to make anew is kept.
func (rq *h2exchange) recycle() {
	if cap(rq.content) > keptContent {
		rq.content = nil
	}
	rq.c, rq.stream, rq.content, rq.read, rq.trailers, rq.unsent, rq.sent = nil, nil, rq.content[:0], 0, nil, 0, 0
	rq.inPlace, rq.lost, rq.answered, rq.ended, rq.stopped, rq.tunnelled, rq.expects = false, false, false, false, false, false, false
	rq.waits = nil
	rq.exchange.reset()
	h2exchanges.Put(rq)
}

// How large a buffer for content may be that is kept for another request.
const keptContent = 64 << 10

// lose is told that the client has given up. The lock is held.
func (rq *h2exchange) lose() {
	if rq.lost {
		return
	}
	rq.lost = true
	rq.exchange.cancel()
	rq.readable.tell()
	rq.writable.tell()
	rq.unhold() // to come to its end
}

// take keeps content until it is read. The lock is held.
func (rq *h2exchange) take(p []byte) {
	if rq.read > 0 && rq.read == len(rq.content) {
		rq.content, rq.read = rq.content[:0], 0
	}
	if rq.read > 0 && len(rq.content)+len(p) > cap(rq.content) {
		rq.content = slices.Delete(rq.content, 0, rq.read)
		rq.read = 0
	}
	if room := rq.request.Length; cap(rq.content) == 0 && room > 0 {
		rq.content = make([]byte, 0, min(room, keptContent))
	}
	rq.content = append(rq.content, p...)
	rq.c.keep(len(p))
	rq.readable.tell()
}

func (rq *h2exchange) complete(trailers message.Fields) {
	rq.ended = true
	rq.trailers = honest(slices.Clone(trailers))
	rq.readable.tell()
	rq.unhold()
}

// Read reads content of the request, within timeouts.body.
func (rq *h2exchange) Read(p []byte) (int, error) {
	c := rq.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if rq.expects && len(rq.content) == 0 && !rq.ended && !rq.lost {
		rq.expects = false
		rq.stream.Inform(100, nil)
		c.flush()
	}
	for rq.read == len(rq.content) {
		switch {
		case rq.lost:
			return 0, message.ErrGone
		case rq.stopped:
			return 0, message.ErrStopped
		case rq.ended:
			return 0, io.EOF
		}
		limit := rq.rules.timeouts.Body
		if rq.tunnelled {
			limit = 0
		}
		if !rq.readable.wait(&c.mu, limit) {
			return 0, message.ErrBodyTimeout
		}
	}
	n := copy(p, rq.content[rq.read:])
	rq.read += n
	c.keep(-n)
	if rq.read == len(rq.content) && cap(rq.content) > keptContent {
		rq.content, rq.read = nil, 0 // it may be long until more comes
	}
	if !rq.lost {
		rq.stream.Consume(n)
		if !rq.ended {
			c.flush()
		}
	}
	return n, nil
}

func (rq *h2exchange) Stop() {
	rq.hold()
	defer rq.release()
	rq.stopped = true
	rq.readable.tell()
}

func (rq *h2exchange) Trailers() message.Fields { return rq.trailers }

// AtHand is how much can be read without waiting, and whether that is all.
func (rq *h2exchange) AtHand() (n int, end bool) {
	rq.c.mu.Lock()
	defer rq.c.mu.Unlock()
	return len(rq.content) - rq.read, rq.ended
}

// Take hands over content that has wholly come. It stays where it is until the exchange has ended, since nothing is added to it any more.
func (rq *h2exchange) Take() []byte {
	c := rq.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !rq.ended || rq.lost || rq.stopped {
		return nil
	}
	p := rq.content[rq.read:]
	rq.read = len(rq.content)
	c.keep(-len(p))
	rq.stream.Consume(len(p))
	return p
}

// hold takes the lock for a method of the Responder, which runs in place or in a goroutine of its own.
func (rq *h2exchange) hold() {
	if !rq.inPlace {
		rq.c.mu.Lock()
	}
}

func (rq *h2exchange) release() {
	if !rq.inPlace {
		rq.c.mu.Unlock()
	}
}

func (rq *h2exchange) Inform(status int, f message.Fields) error {
	rq.hold()
	defer rq.release()
	if rq.lost {
		return message.ErrGone
	}
	rq.stream.Inform(status, f)
	if !rq.inPlace {
		rq.c.flush()
	}
	return nil
}

func (rq *h2exchange) Last() {
	rq.hold()
	defer rq.release()
	rq.c.announce()
}

func (rq *h2exchange) Respond(status int, f message.Fields, end bool) error {
	rq.hold()
	defer rq.release()
	if rq.lost {
		return message.ErrGone
	}
	rq.stream.Respond(status, f, end)
	rq.answered = end
	return nil
}

// Write waits where the client does not take what is there already, within timeouts.idle.
func (rq *h2exchange) Write(p []byte) (int, error) {
	rq.hold()
	defer rq.release()
	rq.moving()
	written := 0
	for {
		if rq.lost {
			return written, message.ErrGone
		}
		n := rq.stream.Write(p[written:])
		written += n
		rq.unsent += n
		if rq.inPlace {
			return written, nil // fixed answers are as large as their configuration, and are kept whole
		}
		if written == len(p) {
			break
		}
		rq.await(n > 0)
	}
	if rq.unsent >= flushAt {
		rq.unsent = 0
		rq.c.flush()
	}
	return written, nil
}

// await sends what there is, and waits for the client to take some of it, unless sending may have made room already.
func (rq *h2exchange) await(made bool) {
	rq.unsent = 0
	rq.c.handOver() // somebody has to read that the client takes more
	rq.c.flush()
	if made || rq.lost {
		return
	}
	if limit := rq.rules.timeouts.Idle; !rq.writable.wait(&rq.c.mu, rq.left(limit)) && !rq.lost && !rq.moving() {
		rq.stream.Reset(h2.Cancel)
		rq.lose()
		rq.c.flush()
	}
}

// How much room is worth a piece of an answer of its own.
const worthPiece = 16 << 10

// Room waits until Write takes something of worth, within timeouts.idle, and returns how much that is.
func (rq *h2exchange) Room() (int, error) {
	rq.hold()
	defer rq.release()
	rq.moving()
	for asked := false; ; asked = true {
		if rq.lost {
			return 0, message.ErrGone
		}
		n := rq.stream.Await(worthPiece)
		if _, waiting := rq.stream.Progress(); n >= worthPiece || n > 0 && waiting == 0 {
			return n, nil
		}
		rq.await(!asked)
	}
}

// moving notes whether the client has taken content since it was last asked, or has nothing to take. That there is room again in
// the buffers of the connection, because another stream has given its room up, is not the client's doing.
func (rq *h2exchange) moving() bool {
	sent, waiting := rq.stream.Progress()
	if sent == rq.sent && waiting > 0 {
		return false
	}
	rq.sent, rq.moved = sent, time.Now()
	return true
}

// left is how long the client may still take nothing; 0: for ever.
func (rq *h2exchange) left(limit time.Duration) time.Duration {
	if limit == 0 {
		return 0
	}
	return max(limit-time.Since(rq.moved), time.Millisecond)
}

func (rq *h2exchange) Flush() error {
	rq.hold()
	defer rq.release()
	rq.unsent = 0
	if !rq.inPlace {
		rq.c.gather()
	}
	return nil
}

func (rq *h2exchange) Finish(trailers message.Fields) error {
	rq.hold()
	defer rq.release()
	if rq.lost {
		return message.ErrGone
	}
	rq.stream.Close(trailers)
	rq.answered = true
	return nil
}

func (rq *h2exchange) Abort() {
	rq.hold()
	defer rq.release()
	if !rq.lost {
		rq.stream.Reset(h2.InternalError)
		rq.lose()
	}
}
