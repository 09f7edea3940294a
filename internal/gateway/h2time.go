package gateway

import (
	"time"

	"github.com/usher-http/usher/internal/message"
)

// limitRead sets the deadline of the next read. Setting one costs more than comparing, so one that comes too early stays: when it
// fires, nothing is to be done, and the next is set. The lock is held.
func (c *h2conn) limitRead(now time.Time) {
	at := c.due(now)
	if c.deadline.IsZero() || c.deadline.Before(now) || at.Before(c.deadline) {
		c.deadline = at
		c.nc.SetReadDeadline(at)
	}
}

// due is when there is something to look at. The lock is held.
func (c *h2conn) due(now time.Time) time.Time {
	t := &c.server.timeouts
	switch {
	case c.ending:
		return c.deadline
	case len(c.held) > 0:
		return c.held[0].started.Add(holdFor)
	case !c.midway.IsZero():
		return c.midway.Add(t.Header)
	case c.running > 0:
		return now.Add(restAfter)
	case !c.left.IsZero() && c.left.Add(partAfter).After(now):
		return c.left.Add(partAfter)
	}
	at := now.Add(time.Hour)
	if t.Idle > 0 {
		at = c.worked.Add(t.Idle)
	}
	if rest := c.heard.Add(restAfter); !c.rested && rest.Before(at) {
		at = rest
	}
	return at
}

// look does what time asks for, and returns false where the connection is to end. The lock is held.
func (c *h2conn) look(now time.Time) bool {
	if c.ending {
		return false
	}
	c.deadline = time.Time{}
	c.letGo(now)
	if c.session.Ending() && now.Sub(c.left) >= partAfter {
		// A client that does not answer the PING of a GOAWAY would have new streams served for ever.
		c.session.FinishGoAway()
		c.flushInPlace()
	}
	t := &c.server.timeouts
	idle := c.running == 0 // a stream whose request is answered and has not ended is nobody's work
	if n := now.Sub(c.credited) / time.Second; n > 0 {
		c.session.Credit(int(n) * creditPerSecond)
		c.credited = c.credited.Add(n * time.Second)
	}
	switch {
	case !c.midway.IsZero():
		if now.Sub(c.midway) >= t.Header {
			if c.session.Opening() {
				c.malformed(0, new(message.Request), lateHeader)
			}
			c.session.GoAway()
			c.session.FinishGoAway()
			c.failed()
			return false
		}
	case idle && t.Idle > 0 && now.Sub(c.worked) >= t.Idle:
		// A client that is about to send a request learns of it in time, or that it was not taken.
		if !c.left.IsZero() && now.Sub(c.left) >= partAfter {
			c.failed() // a stream may be open that the client does not end
			return false
		}
		c.announce()
		c.flushInPlace()
	case idle && !c.rested && now.Sub(c.heard) >= restAfter:
		c.rest()
	case !idle && t.Idle > 0:
		// A peer that vanished without a word is found by a PING that it does not answer.
		switch {
		case !c.asked.IsZero() && now.Sub(c.asked) >= t.Idle:
			return false
		case c.asked.IsZero() && now.Sub(c.heard) >= t.Idle:
			c.asked = now
			c.session.Ping()
			c.flushInPlace()
		}
	}
	return !c.broken
}

// rest lets go of what an idle connection does not need.
func (c *h2conn) rest() {
	c.rested = true
	c.session.Rest()
	if !c.writing {
		c.spare = nil
	}
}
