package soak

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	tellEvery = 10 * time.Second
	// In short runs at each look.
	reloadEvery = 2 * time.Second
	// The memory of the last third may exceed that of the first by a quarter and this.
	growth = 32 << 20
	// Shorter runs than this say nothing of memory but whether it is beyond all bounds.
	judgesMemory = time.Minute
	mostMemory   = 1 << 30
	// What is idle must be gone after the limit; a slow machine gets more time.
	settled = idleLimit + 30*time.Second
	// Idle connections to upstreams are kept for so long.
	keepsUpstreams = 90 * time.Second
	// Goroutines and files come and go by themselves: a collection, a timer.
	slack = 4
)

// A monitor looks at the program while the load lasts.
type monitor struct {
	run       *run
	upstreams *upstreams
	limit     time.Duration
	began     time.Time
	rss       []int64 // at equal intervals
	last      level
}

// watch returns when the load ends.
func (m *monitor) watch(t *testing.T) {
	m.began = time.Now()
	told, reloaded := m.began, time.Time{}
	each := time.NewTicker(min(time.Second, m.limit/50))
	defer each.Stop()
	for {
		select {
		case <-m.run.ctx.Done():
			return
		case <-m.run.server.exited:
			m.run.broke("unknown", "the program has ended")
			m.run.stop()
			return
		case now := <-each.C:
			m.look(now)
			m.run.pace.adjust(time.Since(now))
			if now.Sub(reloaded) >= min(reloadEvery, m.limit/50) {
				reloaded = now
				m.run.server.reload()
			}
			if now.Sub(told) >= tellEvery {
				told = now
				tell(t, "%s", m.line(now))
			}
		}
	}
}

func (m *monitor) look(now time.Time) {
	m.run.sweep(now)
	l, err := m.run.server.level(context.Background())
	if err != nil {
		m.run.broke("unknown", "the program does not say how it is: %v", err)
		return
	}
	m.last = l
	m.rss = append(m.rss, l.rss)
}

func (m *monitor) line(now time.Time) string {
	r := m.run
	return fmt.Sprintf("%6v  %d requests (%d broken on purpose, %d over HTTP/2 to upstreams), %d MiB up, %d MiB down; %v; %d upstream connections",
		now.Sub(m.began).Round(time.Second), r.requests.Load(), r.broken.Load(), m.upstreams.http2.Load(), r.sent.Load()>>20, r.received.Load()>>20,
		m.last, m.upstreams.open.Load())
}

// summary judges the memory, and says what there was.
func (m *monitor) summary(t *testing.T) {
	t.Helper()
	tell(t, "%s", m.line(time.Now()))
	tell(t, "requests with trailers: %d", m.run.trailers.Load())
	tell(t, "HTTP/2 connections that the gateway ended gracefully, with requests under way: %d", m.run.goAways.Load())
	metrics, err := m.run.server.metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ok, failed := metrics[`usher_reloads_total{result="ok"}`], metrics[`usher_reloads_total{result="error"}`]
	if ok == 0 || failed > 0 {
		t.Errorf("%v reloads, and %v that failed", ok, failed)
	}
	if len(m.rss) == 0 {
		t.Fatal("nobody has looked at the program")
	}
	third := max(len(m.rss)/3, 1)
	first, last := mean(m.rss[:third]), mean(m.rss[len(m.rss)-third:])
	tell(t, "%v reloads; RSS in the first third %d MiB, in the last %d MiB, at most %d MiB", ok, first>>20, last>>20, slices.Max(m.rss)>>20)
	if bound := first + first/4 + growth; m.limit >= judgesMemory && last > bound {
		t.Errorf("memory grows: RSS %d MiB in the last third, at most %d MiB are in order", last>>20, bound>>20)
	}
	if most := slices.Max(m.rss); most > mostMemory {
		t.Errorf("RSS was %d MiB", most>>20)
	}
}

func mean(list []int64) int64 {
	var sum int64
	for _, n := range list {
		sum += n
	}
	return sum / int64(len(list))
}

// settle waits until nothing of the load is left, and returns what the program holds then. A level before the load is what must
// be reached again. Where nobody has the time to wait for the program to close its idle connections to upstreams, it is told to.
func settle(t *testing.T, l *run, up *upstreams, before level, patient bool) level {
	t.Helper()
	bound, began, hungUp := settled, time.Now(), false
	if patient {
		bound += keepsUpstreams
	}
	for {
		now, err := l.server.level(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := remains(l, up, before, now)
		if left == "" {
			tell(t, "settled after %v: %v", time.Since(began).Round(100*time.Millisecond), now)
			return now
		}
		if !hungUp && !patient && l.atWork() == 0 && now.connections == 0 {
			hungUp = true
			tell(t, "%d idle upstream connections", up.open.Load())
			// A reload has no use for the old ones; and what it does not know of must be closed since the upstream is gone.
			if err := l.server.reload(); err != nil {
				t.Fatal(err)
			}
			up.hangUp()
		}
		if time.Since(began) > bound {
			t.Fatalf("seed %#x: %v after the load: %s; %v\n%s", *seed, bound, left, now, l.server.dump())
		}
		l.sweep(time.Now())
		time.Sleep(100 * time.Millisecond)
	}
}

// remains says what is left of the load; empty: nothing.
func remains(l *run, up *upstreams, before, now level) string {
	switch {
	case l.atWork() > 0:
		return fmt.Sprintf("%d requests are with upstreams", l.atWork())
	case now.connections > 0:
		return fmt.Sprintf("%d connections are open", now.connections)
	case up.open.Load() > 0:
		return fmt.Sprintf("%d upstream connections are open", up.open.Load())
	case before != level{} && (now.goroutines > before.goroutines+slack || now.files > before.files+slack):
		return fmt.Sprintf("more than before the load, which was %v", before)
	}
	return ""
}

// lingerers leaves a connection of each kind open, for the gateway to close.
func lingerers(t *testing.T, l *run) (end func()) {
	t.Helper()
	var ends []func()
	for _, k := range kinds {
		s := newSession(l, mix(*seed+uint64(len(ends))))
		s.kind, s.limits = k, limits{size: 100, answer: 100, grains: []int64{1000}}
		c, err := k.open(s)
		if err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		r := &record{spec: &spec{id: mix(*seed + uint64(len(ends))), host: plainHost, method: "GET", known: true, status: 200, answerSize: 10}, session: s.String()}
		l.mu.Lock()
		l.records[r.id] = r
		l.mu.Unlock()
		l.end(r, c.do(r))
		ends = append(ends, c.close)
	}
	check(t, l)
	return func() {
		for _, end := range ends {
			end()
		}
	}
}
