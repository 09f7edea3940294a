package gateway

import (
	"context"
	"sync"
)

// flights counts the requests in hand, upgraded connections included. The zero value is ready for use.
type flights struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count becomes 0; nil: nobody waits
}

func (f *flights) begin() {
	f.mu.Lock()
	f.count++
	f.mu.Unlock()
}

func (f *flights) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.count == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait waits until no request is in hand, and returns how many are when ctx ends first.
func (f *flights) wait(ctx context.Context) int {
	f.mu.Lock()
	if f.count == 0 {
		f.mu.Unlock()
		return 0
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return 0
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.count
	}
}
