package gateway

import (
	"slices"

	"github.com/usher-http/usher/internal/proxy"
)

// start gives a request a goroutine of its own. The lock is held.
func (rq *h2exchange) start(at *route) {
	rq.c.running++
	rq.waits = at
	rq.c.server.gateway.crew.do(rq)
}

// startSoon has a request started when the lock is given up, by the goroutine that reads. The lock is held.
func (c *h2conn) startSoon(rq *h2exchange, at *route) {
	c.running++
	rq.waits = at
	c.starting = append(c.starting, rq)
}

// start starts what a read has brought. What is sent to its upstream without waiting needs no goroutine of its own. It is called by the
// goroutine that reads, like whoever adds to the list.
func (c *h2conn) start() {
	for i, rq := range c.starting {
		c.starting[i] = nil
		if !rq.begun() {
			c.server.gateway.crew.do(rq)
		}
	}
	c.starting = c.starting[:0]
}

// begun reports whether the request was sent to its upstream. Then it may be over already.
func (rq *h2exchange) begun() bool {
	u, ok := rq.waits.action.(*upstream)
	return ok && u.begin(&rq.exchange, rq)
}

// Answered is the rest of a request that was begun.
func (rq *h2exchange) Answered(res *proxy.Response, s *proxy.Server, err error) {
	rq.waits = nil
	rq.conclude(res, s, err)
	rq.end()
	rq.leave()
}

// unhold starts a request that was held, if it was.
func (rq *h2exchange) unhold() {
	i := slices.Index(rq.c.held, rq)
	if i < 0 {
		return
	}
	rq.c.held = slices.Delete(rq.c.held, i, i+1)
	at := rq.waits
	rq.waits = nil
	rq.start(at)
}

// run is the rest of a request that waits, in its own goroutine.
func (rq *h2exchange) run() {
	at := rq.waits
	rq.waits = nil
	rq.act(at)
	rq.leave()
}

// leave is the end of a request that waited.
func (rq *h2exchange) leave() {
	c := rq.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	rq.finish()
	c.gather()
}

// runHere is run in the goroutine that reads the connection. It reports whether another one reads now.
func (rq *h2exchange) runHere() (handedOver bool) {
	c, at := rq.c, rq.waits
	rq.waits = nil
	c.beginHere()
	rq.act(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	handedOver = !c.here
	c.here = false
	rq.finish()
	c.flush()
	return handedOver
}

func (rq *h2exchange) act(at *route) {
	defer rq.exchange.end()
	at.action.serve(&rq.exchange, at)
}
