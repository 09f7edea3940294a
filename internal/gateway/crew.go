package gateway

import (
	"sync"
	"time"
)

// A crew runs the requests that wait, in goroutines that it keeps for the next ones: the stack of a new goroutine is small, grows on the
// way through the layers, and is thrown away with it. The zero value is ready for use.
type crew struct {
	mu    sync.Mutex
	idle  []*hand // who was idle last is last
	spare int     // how many have been idle all the time since the last look
	timer *time.Timer
	looks bool // the timer is set
	over  bool // nobody is kept any more
}

// A hand is one goroutine of a crew.
type hand struct{ next chan job }

// A job is what a hand does at a time.
type job interface{ run() }

// Who was not needed for so long goes.
const crewRest = time.Second

// do has a job done, by somebody who is idle or by somebody new.
func (c *crew) do(j job) {
	c.mu.Lock()
	n := len(c.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		go c.work(&hand{make(chan job, 1)}, j)
		return
	}
	h := c.idle[n]
	c.idle[n] = nil
	c.idle = c.idle[:n]
	c.spare = min(c.spare, n)
	c.mu.Unlock()
	h.next <- j
}

func (c *crew) work(h *hand, j job) {
	for j != nil {
		j.run()
		if !c.rest(h) {
			return
		}
		j = <-h.next
	}
}

// rest reports whether the hand is kept.
func (c *crew) rest(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.idle = append(c.idle, h)
	c.look()
	return true
}

// look sees to it that those go who are not needed. The lock is held.
func (c *crew) look() {
	if c.looks {
		return
	}
	c.looks = true
	if c.timer == nil {
		c.timer = time.AfterFunc(crewRest, c.dismiss)
	} else {
		c.timer.Reset(crewRest)
	}
}

// dismiss lets those go who have been idle since it was called last.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return // the timer had gone off when it was stopped
	}
	c.looks = false
	c.let(c.spare)
	if c.spare = len(c.idle); c.spare > 0 {
		c.look()
	}
}

// let lets the first n go. The lock is held.
func (c *crew) let(n int) {
	for _, h := range c.idle[:n] {
		h.next <- nil
	}
	rest := copy(c.idle, c.idle[n:])
	clear(c.idle[rest:])
	c.idle = c.idle[:rest]
}

// end lets everybody go who is idle, and keeps nobody from now on.
func (c *crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.let(len(c.idle))
}
