package proxy

import (
	"errors"

	"github.com/usher-http/usher/internal/message"
)

// An Asker is who has begun a request.
type Asker interface {
	// Answered gets what Do would have returned. It runs in a goroutine that belongs to the connection until it returns, and may wait; the
	// Response is closed by then.
	Answered(*Response, *Server, error)
}

// begun is a request that Begin has sent.
type begun struct {
	rotation *Rotation
	turn     *turn
	call     *Call
	request  *message.Request
	asker    Asker

	input error // how reading has ended
	wrong error // what is wrong with the header section of the answer
}

// Begin sends a request if that is possible without waiting, and returns true: then the Asker gets the answer. Otherwise it has done nothing,
// and Do has to be called. It is for GET and HEAD without content to servers in plaintext.
func (ro *Rotation) Begin(call *Call, r *message.Request, a Asker) bool {
	n := ro.next.Add(1) - 1
	t := ro.servers[int(n%uint32(len(ro.servers)))]
	if until := t.downUntil.Load(); (until == 0 || until <= int64(now())) && t.begin(begun{rotation: ro, turn: t, call: call, request: r, asker: a}) {
		return true
	}
	ro.next.Add(^uint32(0)) // it is still its turn
	return false
}

func (s *Server) begin(b begun) bool {
	// A connection that the server closes at the same moment is found out behind the request, which these two may be sent again for.
	r := b.request
	if s.config.TLS != nil || r.Method != "GET" && r.Method != "HEAD" || hasContent(r) || r.Protocol != "" || checkRequest(r) != nil {
		return false
	}
	for !b.call.isCanceled() {
		c := s.home.stands()
		if c == nil {
			return false
		}
		if c.begin(b) {
			return true
		}
		c.discard()
	}
	return false
}

// stands takes an idle connection with a goroutine from the pool; nil: there is none, and the next one that becomes idle gets one.
func (p *pool) stands() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := last(&p.standing)
	p.wanted = p.wanted || c == nil
	return c
}

// begin sends a request. It returns false where that is not possible: then nothing was sent, or so little that it is no request.
func (c *conn) begin(b begun) bool {
	config := &c.pool.server.config
	if now()-c.rested >= config.KeepIdle {
		return false
	}
	c.call, c.request = b.call, b.request
	c.send, c.complete, c.unsent, c.nothing, c.first, c.tail = nil, true, false, false, piece{}, nil
	c.out = appendHead(c.out[:0], b.request, "")
	c.exchanges++
	c.watch.begin(b.call.start(config.Whole))
	if b.call.attach(&c.watch) != nil {
		return false
	}
	c.watch.sending(config.FirstByte)
	s := c.stander
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strange || s.left {
		return false
	}
	if n, early, _ := c.plain.Begin(c.out); early || n < len(c.out) {
		return false
	}
	s.begun, s.asked = b, true
	return true
}

// passOn is what Do returns: where there was no other connection to a server in turn, it is that of the next one.
func (b *begun) passOn(res *Response, err error) (*Response, *Server, error) {
	ro := b.rotation
	var connect *ConnectError
	if len(ro.servers) == 1 || !errors.As(err, &connect) {
		return res, b.turn.Server, err
	}
	b.turn.downUntil.Store(int64(now() + passOver))
	if b.call.PassedOver != nil {
		b.call.PassedOver(b.turn.Server, err)
	}
	return ro.Do(b.call, b.request)
}
