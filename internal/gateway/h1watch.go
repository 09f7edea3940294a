package gateway

import "time"

// When an exchange has lasted so long, its client is watched: most do not, and cost nothing.
const lookAfter = 100 * time.Millisecond

// beginWaiting says that the exchange waits for others from here on.
func (c *h1conn) beginWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting, c.from = true, c.rq.started
	if c.closed {
		c.rq.cancel()
	}
	c.arm(lookAfter)
}

// arm sees to it that somebody looks after the client. A timer that is under way stays as it is. The lock is held.
func (c *h1conn) arm(d time.Duration) {
	switch {
	case c.armed:
		return
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.look)
	default:
		c.timer.Reset(d)
	}
	c.armed = true
}

// endWaiting is beginWaiting's opposite.
func (c *h1conn) endWaiting() {
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	c.stopLooking()
}

// stopLooking returns when the connection is the goroutine's alone.
func (c *h1conn) stopLooking() {
	c.mu.Lock()
	looking := c.looking
	c.looking = nil
	if looking != nil {
		c.halt()
	}
	c.mu.Unlock()
	if looking != nil {
		<-looking
		c.unhalt()
	}
}

// look waits for the client of an exchange that takes long, and cancels it when the client goes. What it sends meanwhile is kept for the
// next request.
func (c *h1conn) look() {
	c.mu.Lock()
	c.armed = false
	lasted := time.Since(c.from)
	switch {
	case !c.waiting || c.blind || c.closed:
		c.mu.Unlock()
		return
	case lasted < lookAfter:
		c.arm(lookAfter - lasted)
		c.mu.Unlock()
		return
	case !c.rq.body.ended || c.w == len(c.in):
		// Who reads the body sees the client go; and who has sent so much ahead has to wait.
		c.arm(lookAfter)
		c.mu.Unlock()
		return
	}
	looking := make(chan struct{})
	c.looking = looking
	c.mu.Unlock()
	defer close(looking)
	for c.w < len(c.in) {
		n, err := c.read(c.in[c.w:], time.Time{})
		c.w += n
		if err != nil {
			c.mu.Lock()
			if c.waiting && err != errHalted {
				c.rq.cancel()
			}
			c.mu.Unlock()
			return
		}
	}
}
