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
	// How often a connection that is held back looks again.
	budgetEvery = 5 * time.Millisecond
)

func (b *budget) add(n int) {
	if n != 0 {
		b.held.Add(int64(n))
	}
}

func (b *budget) exceeded() bool { return b.held.Load() > maxHeld }
