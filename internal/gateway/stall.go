package gateway

import (
	"sync"
	"time"
)

// A stall limits how long each of many calls, one after the other, may take. The timer of one that has come to its end at the last moment
// does nothing to the next. The zero value has no limit; limit and late must not change once it is used.
type stall struct {
	limit time.Duration // 0: none
	late  func()        // ends the call that is under way; called with mu held

	mu    sync.Mutex
	timer *time.Timer
	due   time.Time // of the call that is under way; zero: there is none
}

func (s *stall) begin() {
	if s.limit == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Now().Add(s.limit)
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.ring)
	} else {
		s.timer.Reset(s.limit)
	}
}

func (s *stall) end() {
	if s.limit == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Time{}
	s.timer.Stop()
}

func (s *stall) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.due.IsZero() && !time.Now().Before(s.due) {
		s.late()
	}
}
