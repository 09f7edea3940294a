package probe

import (
	"context"
	"crypto/tls"
	"iter"
	"sync"
	"time"

	"github.com/usher-http/usher/probe/wire"
)

// A BulkResult is what the short check found of one host.
type BulkResult struct {
	Host     HostReport
	Findings []Finding
}

// BulkWindow is how many names may be under way or finished behind the first that is not: who resumes a run asks so many again at the
// most.
const BulkWindow = 1 << 16

// Bulk does the short check for each name, in no order: one HTTP/2 connection, the host itself and a name that nobody has. Names are read as
// they are needed and results handed over as they come, by one goroutine at a time; nothing is kept, so that there may be any number. done is
// told after each result how many names from the first on are finished, without a gap. A name that is no host has an Unreachable result. The
// error is ctx's, names', or that of emit, which ends the run.
func Bulk(ctx context.Context, names iter.Seq2[string, error], o Options, emit func(BulkResult) error, done func(int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &bulk{prober: newProber(o), emit: emit, done: done, finished: map[int]bool{}}
	b.room = sync.NewCond(&b.mu)
	b.prober.down = nil // it would remember every address
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.room.Broadcast()
	})()
	var wg sync.WaitGroup
	slots := make(chan struct{}, b.Parallel)
	index := 0
	for name, err := range names {
		if err != nil {
			cancel(err)
		}
		if !b.wait(ctx, index) {
			break
		}
		slots <- struct{}{}
		i := index
		wg.Go(func() {
			defer func() { <-slots }()
			r := b.check(ctx, name)
			if ctx.Err() != nil {
				return // it may have failed for this alone
			}
			if err := b.hand(i, r); err != nil {
				cancel(err)
			}
		})
		index++
	}
	wg.Wait()
	return context.Cause(ctx)
}

type bulk struct {
	*prober
	emit func(BulkResult) error
	done func(int)

	mu       sync.Mutex
	room     *sync.Cond
	prefix   int          // all names before are finished
	finished map[int]bool // those behind
}

// wait waits until a name is within the window, and reports whether the run goes on.
func (b *bulk) wait(ctx context.Context, index int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for index-b.prefix >= BulkWindow && ctx.Err() == nil {
		b.room.Wait()
	}
	return ctx.Err() == nil
}

func (b *bulk) hand(i int, r BulkResult) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.emit(r); err != nil {
		return err
	}
	b.finished[i] = true
	for b.finished[b.prefix] {
		delete(b.finished, b.prefix)
		b.prefix++
	}
	b.room.Signal()
	b.done(b.prefix)
	return nil
}

// check asks one host.
func (b *bulk) check(ctx context.Context, name string) BulkResult {
	t, err := ParseTarget(name)
	if err != nil {
		return BulkResult{Host: HostReport{Name: clean(name), Addresses: []string{}, Protocols: []ProtocolReport{}, ClientAuth: AuthNone, Unreachable: clean(err.Error())}}
	}
	h := &Host{Target: t, Own: map[wire.Protocol]*Own{}}
	o := b.Options
	o.Protocols = []wire.Protocol{wire.H2}
	host, port := redirect(b.Connect, t)
	addresses, err := b.Resolve(ctx, host)
	var seen []*Observation
	if err != nil || len(addresses) == 0 {
		h.Failure, h.Detail = wire.Unresolved, "the name has no address"
	} else {
		h.Addresses = joined(addresses, port)
		seen = b.short(ctx, h)
	}
	j := Judge([]*Host{h}, seen, o)
	r := hostReport(h, &o, time.Time{})
	if r.Certificate != nil {
		r.Certificate.Problem = "" // chains are not verified: that costs more than the check
		if !Covers(h.Leaf(), t) {
			r.Certificate.Problem = "it does not cover the host"
		}
	}
	return BulkResult{r, j.Findings}
}

// short asks for the host and for a name that nobody has, on one connection to the first address that answers.
func (b *bulk) short(ctx context.Context, h *Host) []*Observation {
	for _, a := range h.Addresses {
		o := &Own{Address: a}
		h.Own[wire.H2] = o
		d := b.dial(a, wire.H2, h.SNI())
		d.Version, d.Once = tls.VersionTLS13, true
		c, facts, err := b.open(ctx, d)
		o.Facts = facts
		if f, detail := wire.FailureOf(err); f == wire.Alert && detail == "protocol_version" {
			d.Version = 0
			c, facts, err = b.open(ctx, d)
			o.Facts = facts
		}
		if err != nil {
			o.Failure, o.Detail = wire.FailureOf(err)
			h.Failure, h.Detail = o.Failure, o.Detail
			continue
		}
		defer b.close(c)
		h.Failure, h.Detail = "", ""
		if b.pacer.turn(ctx, a) == nil {
			o.Plain = Baseline{c.Do(ctx, b.request(h.Name()))}
		}
		o.Facts = c.Facts
		if !h.Reachable() {
			h.Failure, h.Detail = o.failed()
		}
		b.notes(o, c)
		s := &Step{Check: CheckParse, Protocol: wire.H2, Address: a, From: h, ServerName: h.SNI(), Asks: []Ask{{Kind: UnknownAuthority, Request: wire.Request{Authority: unknownName}}}}
		x := &Observation{Step: s, Facts: o.Facts, Replies: make([]Reply, 1)}
		if c.Usable() {
			x.Replies[0] = b.reply(ctx, c, s, &s.Asks[0])
		}
		return []*Observation{x}
	}
	return nil
}
