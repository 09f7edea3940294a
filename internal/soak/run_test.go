package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// mostFailures end a run: the first ones tell what is wrong.
const mostFailures = 10

// A run is what all clients and upstreams of a load share.
type run struct {
	ctx    context.Context // ends when the load is to end
	stop   context.CancelFunc
	server *server
	pace   *pace // nil: as many as there are
	ids    atomic.Uint64

	requests, broken, sent, received atomic.Int64
	trailers                         atomic.Int64 // of requests
	goAways                          atomic.Int64 // connections of HTTP/2 that the gateway ended, gracefully, in the middle of something

	mu       sync.Mutex
	failures []string
	records  map[uint64]*record
	done     []*record // that have ended, the oldest first
	attempts map[*attempt]struct{}
}

func newRun(ctx context.Context, s *server) *run {
	ctx, stop := context.WithCancel(ctx)
	return &run{ctx: ctx, stop: stop, server: s, records: map[uint64]*record{}, attempts: map[*attempt]struct{}{}}
}

// begin enters an exchange, so that upstreams know it.
func (l *run) begin(rng *rand.Rand, session string, limits limits) *record {
	r := &record{spec: newSpec(rng, mix(rng.Uint64()+l.ids.Add(1)), limits), session: session}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[r.id] = r
	return r
}

// end judges what the client saw. The record is kept for a while: the upstream may still be at it.
func (l *run) end(r *record, got seen) {
	r.ended.Store(time.Now().UnixNano())
	l.requests.Add(1)
	l.received.Add(got.bytes)
	if r.broken() {
		l.broken.Add(1)
	}
	if wrong := r.judgeAnswer(got); wrong != "" {
		l.fail(r, "the client: "+wrong)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, r)
}

// fail notes what went wrong with an exchange.
func (l *run) fail(r *record, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < mostFailures {
		l.failures = append(l.failures, fmt.Sprintf("%s\n\texchange %v\n\tsession %s", what, r.spec, r.session))
	}
	if len(l.failures) == mostFailures {
		l.stop()
	}
}

// broke notes what went wrong with something else.
func (l *run) broke(session, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < mostFailures {
		l.failures = append(l.failures, fmt.Sprintf(format, args...)+"\n\tsession "+session)
	}
}

// An attempt is one arrival of a request at an upstream.
type attempt struct {
	*record
	run *run
}

// arrive finds the exchange that a request belongs to, nil: none, which is noted.
func (l *run) arrive(id uint64, method, host string) *attempt {
	l.mu.Lock()
	r := l.records[id]
	if r == nil {
		l.mu.Unlock()
		l.broke("unknown", "a request %s for %s arrived that nobody has sent: %016x", method, host, id)
		return nil
	}
	a := &attempt{r, l}
	l.attempts[a] = struct{}{}
	l.mu.Unlock()
	if n := r.attempts.Add(1); n > 1 && !r.idempotent() {
		l.fail(r, fmt.Sprintf("a request that must not be repeated arrived %d times", n))
	}
	return a
}

// leave judges what the upstream saw of the content, and says that it is done.
func (a *attempt) leave(got seen) {
	a.run.sent.Add(got.bytes)
	if got.complete && got.trailers != "" {
		a.run.trailers.Add(1)
	}
	if wrong := a.judgeRequest(got); wrong != "" {
		a.run.fail(a.record, "the upstream: "+wrong)
	}
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	delete(a.run.attempts, a)
}

const (
	// How long an upstream may go on for a client that is gone. One that vanished without a word (QUIC) is noticed by the idle limit of
	// its connection, which the gateway makes 10 seconds longer than its own, and which what is sent to the client begins anew once (RFC
	// 9000 section 10.1); or, where its content is waited for, by the limit for that.
	noticeWithin = 2*(idleLimit+10*time.Second) + 5*time.Second
	// How long an ended exchange is remembered.
	remember = noticeWithin + 10*time.Second
)

// sweep forgets what is long over, and looks for upstreams that go on for nobody.
func (l *run) sweep(now time.Time) {
	l.mu.Lock()
	var late []*attempt
	for a := range l.attempts {
		if a.late(now, noticeWithin) {
			late = append(late, a)
			delete(l.attempts, a)
		}
	}
	for len(l.done) > 0 && l.done[0].late(now, remember) {
		delete(l.records, l.done[0].id)
		l.done = l.done[1:]
	}
	l.mu.Unlock()
	for _, a := range late {
		l.fail(a.record, fmt.Sprintf("the upstream: still at it %v after the client was done", noticeWithin))
	}
}

// atWork is how many requests are with upstreams.
func (l *run) atWork() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.attempts)
}

func (l *run) failed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}
