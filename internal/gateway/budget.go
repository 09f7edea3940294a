package gateway

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A budget bounds what clients have sent and nobody has read yet, over all connections. Each connection has a window of its own, but
// there may be many of them. It also bounds what was read of content and is kept while an upstream thinks about it. The zero value is empty.
type budget struct{ held, lent atomic.Int64 }

const (
	maxHeld = 256 << 20
	maxLent = 256 << 20
	// What clients of HTTP/2 and HTTP/3 have not taken of their answers, over all connections: beyond lessUnsent each connection may keep
	// less, and beyond mostUnsent a connection on which something waits already gets no further answers.
	lessUnsent = 128 << 20
	mostUnsent = 512 << 20
	// How often a connection that is held back looks again.
	budgetEvery = 5 * time.Millisecond
)

func (b *budget) add(n int) {
	if n != 0 {
		b.held.Add(int64(n))
	}
}

func (b *budget) exceeded() bool { return b.held.Load() > maxHeld }

// lend takes n bytes for the content of a request that is passed on; giveBack is its opposite. It returns false where all such requests
// together have too much. Each connection may have one all the same: a few that have many must not keep the others from what they need.
func (b *budget) lend(p *peer, n int64) bool {
	if n == 0 {
		return true
	}
	others := p.lent.Add(n) - n
	if b.lent.Add(n) <= maxLent || others == 0 {
		return true
	}
	b.giveBack(p, n)
	return false
}

func (b *budget) giveBack(p *peer, n int64) {
	if n == 0 {
		return
	}
	p.lent.Add(-n)
	b.lent.Add(-n)
}

// lentFor is how much of a request is in memory until it is answered, at most: of its content, where it came to, on the way to the upstream,
// or kept to be sent again; and of a header section that is longer than those of browsers.
func lentFor(r *message.Request) int64 {
	n := int64(len(r.Target))
	for i := range r.Fields {
		n += int64(len(r.Fields[i].Name) + len(r.Fields[i].Value))
	}
	if n < usualHeader {
		n = 0
	}
	switch {
	case r.Body == nil || r.Method == http.MethodConnect:
		return n
	case r.Length >= 0 && r.Length < keptContent:
		return n + r.Length
	}
	return n + keptContent
}

const usualHeader = 8 << 10
