package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// A pacer keeps to the manners: so many connections to an address at a time, so many requests a second to it and in all.
type pacer struct {
	options *Options
	all     *bucket

	mu    sync.Mutex
	lanes map[netip.AddrPort]*lane
}

// A lane is the way to one address. It is forgotten when nobody uses it and its bucket has no memory left: there may be a million.
type lane struct {
	users  int // guarded by the pacer's mutex
	slots  chan struct{}
	bucket *bucket
}

func newPacer(o *Options) *pacer {
	return &pacer{options: o, all: newBucket(o.Rate), lanes: map[netip.AddrPort]*lane{}}
}

// enter waits until a connection to the address may be opened; leave gives the place back.
func (p *pacer) enter(ctx context.Context, a netip.AddrPort) error {
	p.mu.Lock()
	l := p.lanes[a]
	if l == nil {
		l = &lane{slots: make(chan struct{}, p.options.Concurrency), bucket: newBucket(p.options.TargetRate)}
		p.lanes[a] = l
	}
	l.users++
	p.mu.Unlock()
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		p.forget(a, l)
		return ctx.Err()
	}
}

func (p *pacer) leave(a netip.AddrPort) {
	p.mu.Lock()
	l := p.lanes[a]
	p.mu.Unlock()
	<-l.slots
	p.forget(a, l)
}

// forget is called by whoever no longer uses a lane.
func (p *pacer) forget(a netip.AddrPort, l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.users--
	if l.users == 0 && l.bucket.idle() {
		delete(p.lanes, a)
	}
	if len(p.lanes) > mostLanes {
		for other, l := range p.lanes {
			if l.users == 0 && l.bucket.idle() {
				delete(p.lanes, other)
			}
		}
	}
}

// mostLanes is when those that were not idle as their last user left are looked at again.
const mostLanes = 4096

// turn waits until a handshake or a request may be sent to the address, by somebody who has entered.
func (p *pacer) turn(ctx context.Context, a netip.AddrPort) error {
	if err := p.all.wait(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	l := p.lanes[a]
	p.mu.Unlock()
	return l.bucket.wait(ctx)
}

// A bucket spaces events evenly. One without a rate lets all through.
type bucket struct {
	every time.Duration

	mu   sync.Mutex
	next time.Time
}

func newBucket(rate float64) *bucket {
	if rate <= 0 {
		return &bucket{}
	}
	return &bucket{every: time.Duration(float64(time.Second) / rate)}
}

// idle reports whether a new bucket would do the same.
func (b *bucket) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.next.After(time.Now())
}

func (b *bucket) wait(ctx context.Context) error {
	if b.every == 0 {
		return ctx.Err()
	}
	b.mu.Lock()
	now := time.Now()
	at := b.next
	if at.Before(now) {
		at = now
	}
	b.next = at.Add(b.every)
	b.mu.Unlock()
	if at.Equal(now) {
		return ctx.Err()
	}
	t := time.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
