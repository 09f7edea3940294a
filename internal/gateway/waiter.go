package gateway

import (
	"sync"
	"time"
)

// A waiter lets one goroutine wait for something to happen. It may be told too often.
type waiter struct {
	told  chan struct{}
	timer *time.Timer
}

func newWaiter() waiter {
	w := waiter{make(chan struct{}, 1), time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

func (w *waiter) tell() {
	select {
	case w.told <- struct{}{}:
	default:
	}
}

// wait gives up the lock while it waits. It returns false when nothing has happened for so long; 0: for ever.
func (w *waiter) wait(mu *sync.Mutex, limit time.Duration) bool {
	mu.Unlock()
	defer mu.Lock()
	if limit == 0 {
		<-w.told
		return true
	}
	w.timer.Reset(limit)
	defer w.timer.Stop()
	select {
	case <-w.told:
		return true
	case <-w.timer.C:
		return false
	}
}
