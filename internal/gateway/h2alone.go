package gateway

import (
	"time"
)

// beginHere is called before the reader runs a request.
func (c *h2conn) beginHere() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
	c.here, c.since = true, c.heard
	if c.armed {
		return
	}
	c.armed = true
	if c.watch == nil {
		c.watch = time.AfterFunc(aloneFor, c.tooLong)
	} else {
		c.watch.Reset(aloneFor)
	}
}

// tooLong looks whether the request that the reader runs has kept it for long enough.
func (c *h2conn) tooLong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	if !c.here {
		return
	}
	if left := aloneFor - time.Since(c.since); left > 0 {
		c.armed = true
		c.watch.Reset(left)
		return
	}
	c.handOver()
}

// readOn reads in place of a reader that runs a request.
func (c *h2conn) readOn() {
	defer c.server.survive(c.raw)
	c.read(true)
}

// handOver has another goroutine read, if the reader runs a request. The lock is held.
func (c *h2conn) handOver() {
	if c.here {
		c.here = false
		go c.readOn()
	}
}
