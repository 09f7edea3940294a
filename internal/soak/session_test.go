package soak

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// patience is how long one exchange may take. None takes nearly as long when all is well.
const patience = 30 * time.Second

// A client has one connection (or one for each host) to the gateway.
type client interface {
	// do plays the client's side of an exchange.
	do(*record) seen
	// close ends the connections when no exchange is under way.
	close()
	// kill closes them under whatever is under way.
	kill()
}

// A kind is one of the clients that there are.
type kind struct {
	name   string
	many   int // exchanges at the same time, at most
	limits func(*rand.Rand) limits
	open   func(*session) (client, error)
}

var kinds = []kind{
	{"net/http, HTTP/1.1", 1, fixed(limits{size: 4 << 20, answer: 4 << 20, http1: true}), openHTTP1},
	{"raw HTTP/1.1", 1, fixed(limits{size: 4 << 20, answer: 4 << 20, http1: true, expects: true}), openRaw1},
	{"net/http, HTTP/2", 16, fixed(limits{size: 4 << 20, answer: 4 << 20}), openHTTP2},
	{"raw HTTP/2", 32, grained, openRaw2},
	{"raw HTTP/2", 32, grained, openRaw2},
	{"quic-go, HTTP/3", 8, fixed(limits{size: 4 << 20, answer: 4 << 20}), openHTTP3},
}

func fixed(l limits) func(*rand.Rand) limits { return func(*rand.Rand) limits { return l } }

// A session is the life of one client. All that is random in it comes from its seed.
type session struct {
	run    *run
	seed   uint64
	kind   kind
	rng    *rand.Rand
	limits limits
	client client
	mortal bool // it may be killed

	mu     sync.Mutex
	killed bool
	active map[*record]struct{}
}

func newSession(l *run, seed uint64) *session {
	s := &session{run: l, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), mortal: true, active: map[*record]struct{}{}}
	s.kind = pick(s.rng, kinds)
	s.limits = s.kind.limits(s.rng)
	return s
}

func (s *session) String() string { return fmt.Sprintf("%#x (%s)", s.seed, s.kind.name) }

// play has the session from its first connection to its end.
func (s *session) play() {
	many := 1 + rand.New(rand.NewPCG(s.seed, 11)).IntN(s.kind.many)
	s.run.pace.enter(many)
	defer s.run.pace.leave(many)
	if s.run.ctx.Err() != nil {
		return
	}
	c, err := s.kind.open(s)
	if err != nil {
		if s.run.ctx.Err() == nil {
			s.run.broke(s.String(), "no connection: %v", err)
		}
		return
	}
	s.client = c
	if chance(s.rng, 0.15) && s.mortal {
		timer := time.AfterFunc(time.Duration(s.rng.IntN(200))*time.Millisecond, s.kill)
		defer timer.Stop()
	}
	var each sync.WaitGroup
	for range many {
		seed := s.rng.Uint64()
		each.Go(func() { s.exchanges(rand.New(rand.NewPCG(seed, 4))) })
	}
	each.Wait()
	c.close()
}

// exchanges has some, one after the other.
func (s *session) exchanges(rng *rand.Rand) {
	for range 1 + rng.IntN(12) {
		if s.run.ctx.Err() != nil {
			return
		}
		r := s.run.begin(rng, s.String(), s.limits)
		if !s.enter(r) {
			r.gone.Store(true)
			s.run.end(r, seen{})
			return
		}
		got := s.client.do(r)
		s.leave(r)
		s.run.end(r, got)
		if got.last {
			return
		}
	}
}

func (s *session) enter(r *record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.killed {
		s.active[r] = struct{}{}
	}
	return !s.killed
}

func (s *session) leave(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, r)
}

// kill has the client vanish with all that it has under way.
func (s *session) kill() {
	s.mu.Lock()
	s.killed = true
	for r := range s.active {
		r.gone.Store(true)
	}
	s.mu.Unlock()
	s.client.kill()
}
