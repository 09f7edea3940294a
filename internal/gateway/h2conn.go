package gateway

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/h2"
	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// An h2conn drives one HTTP/2 session. One goroutine reads the connection and answers in place what needs no waiting; each
// request that waits has a goroutine of its own. Whoever has something to send and finds nobody writing writes for all.
type h2conn struct {
	server *tcpServer
	nc     net.Conn // *tls.Conn, or raw itself
	raw    *conn
	facts  *usher.Connection
	client *peer
	shut   atomic.Bool // it was closed from outside

	mu       sync.Mutex // of everything below, and of the session
	session  *h2.Session
	spare    []byte        // the output buffer that the session has not got
	writing  bool          // somebody writes
	quiet    *sync.Cond    // told when nobody writes any more
	broken   bool          // nothing can be written any more
	running  int           // requests with a goroutine of their own
	held     []*h2exchange // requests that wait for their content before they get one, the longest waiting first
	starting []*h2exchange // requests that the read under way has brought, and that get one, or do not need it
	unread   int           // bytes of content that have come and nobody has read
	heard    time.Time     // when something came last
	worked   time.Time     // when a request was last in hand
	midway   time.Time     // since when something has been incomplete that should soon be complete; zero: nothing is
	asked    time.Time     // when a PING was sent that is not answered; zero: none is
	left     time.Time     // when the client was told that the connection ends; zero: it was not
	deadline time.Time     // of reading, as it is set
	credited time.Time     // until when the session has got the credit of time
	ending   bool          // the last word is said, or is about to be; the connection lasts until the client can have read it
	mute     bool          // nothing more is written
	rested   bool

	// A request that came alone to a connection that is in use is run by the goroutine that reads, which saves the change from one
	// to another. Reading goes on when it is answered, or in a new goroutine when it takes longer than a moment.
	alone  *h2exchange // what the last read has brought, if it was one; else nil
	lonely int         // how many requests in a row have come alone
	taken  bool        // the read under way has brought a request
	here   bool        // the reader runs a request
	since  time.Time   // when it began to
	watch  *time.Timer // looks whether it takes too long; nil: there was none yet
	armed  bool

	small [1 << 10]byte // what an idle connection reads into
}

const (
	// An idle connection lets go of its buffers after this.
	restAfter = time.Second
	// What is written in place by the goroutine that reads. More is left to another one, so that reading goes on while a slow
	// client takes it.
	writeInPlace = 16 << 10
	// What a request writes before it is sent although more may come.
	flushAt = 64 << 10
	// How many bytes of frames may wait while others are written. More than a client's window of content and its answers' header sections
	// usually have together.
	maxUnsent = 256 << 10
	// How long a client has to answer when it is told that the connection ends.
	partAfter = time.Second
	// How long a client has to take in the GOAWAY that tells it of an error.
	lingerFor = 250 * time.Millisecond
	// How many events of a flood a second gives back (see h2.Session.Credit).
	creditPerSecond = 100
)

var readBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func newH2Conn(s *tcpServer, nc net.Conn, raw *conn, facts *usher.Connection, client *peer) *h2conn {
	c := &h2conn{server: s, nc: nc, raw: raw, facts: facts, client: client}
	c.quiet = sync.NewCond(&c.mu)
	c.session = h2.NewSession(&s.h2, c, facts.OriginFrame())
	c.heard = time.Now()
	c.worked, c.midway, c.credited = c.heard, c.heard, c.heard
	return c
}

// serve reads until the connection ends. first is what was read already.
func (c *h2conn) serve(first []byte) {
	c.mu.Lock()
	ok := c.take(first)
	c.mu.Unlock()
	c.start()
	c.read(ok)
}

// read is the work of the goroutine that reads. It may hand it over to another and return: see alone.
func (c *h2conn) read(ok bool) {
	handedOver := false
	defer func() {
		if !handedOver {
			c.end()
		}
	}()
	var large *[16 << 10]byte
	defer func() {
		if large != nil {
			readBuffers.Put(large)
		}
	}()
	for ok {
		c.ready()
		buf := c.small[:]
		if large != nil {
			buf = large[:]
		}
		n, err := c.nc.Read(buf)
		var rq *h2exchange
		ok, rq = c.step(buf[:n], err)
		c.start()
		switch {
		case large == nil && n == len(buf):
			large = readBuffers.Get().(*[16 << 10]byte) // there is more; most requests never need it
		case large != nil && n <= len(c.small):
			readBuffers.Put(large)
			large = nil
		}
		if rq != nil {
			if handedOver = rq.runHere(); handedOver {
				return
			}
		}
		c.holdBack()
	}
}

// ready prepares the next read.
func (c *h2conn) ready() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limitRead(time.Now())
}

// step is what follows a read. ok is false when the connection is at its end; here is a request that the reader is to run itself.
func (c *h2conn) step(p []byte, err error) (ok bool, here *h2exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(p) > 0:
		ok = c.take(p)
	case isTimeout(err) && !c.broken:
		ok = c.look(time.Now())
	}
	here, c.alone = c.alone, nil
	if here != nil && !ok {
		here.start(here.waits)
		here = nil
	}
	return ok, here
}

// keep counts content that has come and was not read, or is not any more, where n is negative. The lock is held.
func (c *h2conn) keep(n int) {
	c.unread += n
	c.server.gateway.budget.add(n)
}

// holdBack keeps the connection from being read while all connections together hold too much that nobody has read yet, and this one some
// of it: what is held goes on to upstreams meanwhile, or its time limits end it. It also does so while the client does not take the
// answers that wait for it, until it does or the time limit for writing ends it: header sections have no flow control.
func (c *h2conn) holdBack() {
	for held := false; !c.shut.Load(); held = true {
		c.mu.Lock()
		hold := !c.broken && (c.session.Unsent() > maxUnsent || c.unread > 0 && c.server.gateway.budget.exceeded())
		switch {
		case hold:
			c.letGo(time.Now())
		case held && !c.midway.IsZero():
			c.midway = time.Now() // the rest may be there: nobody has looked
		}
		c.mu.Unlock()
		if !hold {
			return
		}
		time.Sleep(budgetEvery)
	}
}

// close ends the connection at once.
func (c *h2conn) close() {
	c.shut.Store(true)
	c.raw.Conn.Close()
}

func isTimeout(err error) bool {
	limit, ok := err.(net.Error)
	return ok && limit.Timeout()
}

// take gives the session what came. It returns false when the connection is at its end. The lock is held.
func (c *h2conn) take(p []byte) bool {
	c.heard = time.Now()
	c.asked = time.Time{}
	c.rested = false
	c.taken = false
	if err := c.session.Feed(p); err != nil {
		c.server.debug(fmt.Errorf("HTTP/2 from %s: %w", c.client.remote, err))
		c.failed()
		return false
	}
	switch midway := !c.session.Settled() || c.session.Midway(); {
	case !midway:
		c.midway = time.Time{}
	case c.midway.IsZero():
		c.midway = c.heard
	}
	c.flushInPlace()
	return !c.broken
}

// failed sends the session's last words and closes, but not before the client can have read them.
func (c *h2conn) failed() {
	c.ending = true
	c.raw.SetWriteDeadline(time.Now().Add(lingerFor))
	for c.writing {
		c.quiet.Wait()
	}
	c.flush()
	c.broken = true
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.raw.drain()
	c.mu.Lock()
}

// leave begins the graceful end. Called again, it no longer waits for the client to answer.
func (c *h2conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.Ending() {
		c.session.FinishGoAway()
	} else {
		c.announce()
	}
	c.tell()
}

// announce tells the client that the connection ends: requests that are on their way are still served. The lock is held.
func (c *h2conn) announce() {
	if c.left.IsZero() {
		c.left = time.Now()
	}
	c.session.GoAway()
}

// goAway is leave that is content to wait for the client's answer.
func (c *h2conn) goAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce()
	c.tell()
}

// tell sends what the session has to say, in another goroutine: one client that does not read must not keep the others from being told.
// The lock is held.
func (c *h2conn) tell() {
	if !c.writing && !c.broken && !c.mute && c.session.Pending() {
		c.writing = true
		go c.writeOn(nil)
		return
	}
	c.settle()
}

// end lets go of the requests that nobody waits for any more.
func (c *h2conn) end() {
	c.nc.Close()
	c.mu.Lock()
	c.broken = true
	c.session.Lost()
	c.mu.Unlock()
	c.server.forget(c)
}

// Request takes a request from the session. The lock is held.
func (c *h2conn) Request(st *h2.Stream, r *message.Request) {
	c.midway = time.Time{} // one header section is complete; the next one has its own time
	if c.running >= maxRunning {
		// The client has reset requests faster than their ends could be reached.
		st.Reset(h2.RefusedStream)
		st.Release()
		return
	}
	rq := newH2Exchange(c, st, r)
	at := rq.begin()
	if at == nil {
		rq.finish()
		return
	}
	rq.inPlace = false
	if r.Length > 0 && r.Length <= keptContent && !rq.expects {
		rq.waits = at
		c.held = append(c.held, rq)
		return
	}
	if c.running > 0 || c.taken {
		c.lonely = 0
		if c.alone != nil {
			c.startSoon(c.alone, c.alone.waits)
			c.alone = nil
		}
		c.startSoon(rq, at)
		return
	}
	c.taken = true
	if c.lonely++; c.lonely <= aloneAfter || !rq.ended || r.Protocol != "" {
		c.startSoon(rq, at)
		return
	}
	rq.waits, c.alone = at, rq
}

const (
	// So many requests have to have come alone, one after the other, before the reader runs one itself. Another client sends several
	// at once and should not wait for the first; and the reader's stack grows, which idle connections should not pay for.
	aloneAfter = 8
	// How long nobody reads because of such a request.
	aloneFor = 5 * time.Millisecond
)

// How long a request is held until its content is complete. Content that is small goes to the upstream at once with the header
// section, and a slow client costs nothing there until then.
const holdFor = 50 * time.Millisecond

// letGo starts the requests that were held for long enough. The lock is held.
func (c *h2conn) letGo(now time.Time) {
	for len(c.held) > 0 && now.Sub(c.held[0].started) >= holdFor {
		c.held[0].unhold()
	}
}

// How many requests of a connection may have goroutines at once: those of the streams that it may open, and as many again whose
// streams the client has reset and whose upstreams have not noticed yet.
const maxRunning = 2 * maxStreams

// TooLarge answers a request whose header section is too long to be known.
func (c *h2conn) TooLarge(st *h2.Stream) {
	const status = 431
	c.malformed(status, new(message.Request), http1.ErrTooLarge.Error())
	st.Respond(status, message.Fields{{Name: "content-length", Value: "0"}, {Name: "cache-control", Value: "no-store"},
		{Name: "date", Value: httpDate(time.Now())}}, true)
	st.Discard()
	st.Release()
}

func exchangeOn(st *h2.Stream) *h2exchange {
	rq, _ := st.Value.(*h2exchange)
	return rq
}

func (c *h2conn) Data(st *h2.Stream, p []byte) {
	if rq := exchangeOn(st); rq != nil {
		rq.take(p)
	}
}

func (c *h2conn) End(st *h2.Stream, trailers message.Fields) {
	if rq := exchangeOn(st); rq != nil {
		rq.complete(trailers)
	}
}

func (c *h2conn) Reset(st *h2.Stream) {
	if rq := exchangeOn(st); rq != nil {
		rq.lose()
	}
}

func (c *h2conn) Writable(st *h2.Stream) {
	if rq := exchangeOn(st); rq != nil {
		rq.writable.tell()
	}
}

func (c *h2conn) Pong() { c.asked = time.Time{} }
