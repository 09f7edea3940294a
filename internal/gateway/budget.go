package gateway

import (
	"sync/atomic"
	"time"
)

// A budget bounds what clients have sent and nobody has read yet, over all connections. Each connection has a window of its own, but
// there may be many of them. The zero value is empty.
type budget struct{ held atomic.Int64 }

const (
	maxHeld = 256 << 20
	// How often a connection that is held up looks again.
	budgetEvery = 5 * time.Millisecond
)

func (b *budget) add(n int) {
	if n != 0 {
		b.held.Add(int64(n))
	}
}

// wait keeps a connection from reading more while too much is held. What is held goes on to upstreams meanwhile, or its time
// limits end it.
func (b *budget) wait(gone <-chan struct{}) {
	for b.held.Load() > maxHeld {
		select {
		case <-gone:
			return
		case <-time.After(budgetEvery):
		}
	}
}
