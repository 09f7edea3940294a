package soak

import (
	"sync"
	"time"
)

// A pace bounds how many exchanges are under way, by how quickly the program says how it is: on a slow machine hundreds at a time take so
// long that the limits of time end them, of which that of idle connections must be short here. nil has no bound.
type pace struct {
	mu      sync.Mutex
	changed *sync.Cond
	allowed int
	busy    int
}

const (
	leastPace = 8
	quick     = 150 * time.Millisecond
	slow      = 600 * time.Millisecond
)

func newPace() *pace {
	p := &pace{allowed: 4 * leastPace}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// enter waits until n more may begin, or nothing else is under way.
func (p *pace) enter(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.busy > 0 && p.busy+n > p.allowed {
		p.changed.Wait()
	}
	p.busy += n
}

func (p *pace) leave(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy -= n
	p.changed.Broadcast()
}

// adjust learns how long a look at the program took.
func (p *pace) adjust(took time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case took < quick:
		p.allowed += 2 * leastPace
	case took > slow:
		p.allowed = max(leastPace, min(p.allowed, p.busy)/2)
	}
	p.changed.Broadcast()
}
