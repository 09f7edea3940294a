package h2

// Output hands over the frames that are ready, and takes spare[:0] as the next buffer (see [Spare]). Length 0: there is nothing to send
// now.
// Frames of control and header sections come first, then content of the streams that have some, in fair turns, until
// Config.MaxOutput is reached. Call it again until it is empty.
func (s *Session) Output(spare []byte) []byte {
	s.fill()
	s.stir()
	out := s.out
	if spare == nil {
		spare, s.small = s.small, nil
	}
	s.out = spare[:0]
	s.batch++
	s.control = 0
	return out
}

// Pending reports whether Output would return something.
func (s *Session) Pending() bool {
	return len(s.out) > 0 || s.sendWindow > 0 && !s.schedule.empty()
}

// Unsent returns how many bytes of frames wait for Output to hand them over. Content is bounded by Config.MaxOutput; header sections
// and control frames, which have no flow control, by how much is fed meanwhile: who drives the session feeds nothing more when the client
// takes nothing.
func (s *Session) Unsent() int { return len(s.out) }

// fill takes content into the output.
func (s *Session) fill() {
	for len(s.out) < s.c.MaxOutput && s.sendWindow > 0 {
		st := s.schedule.choose()
		if st == nil {
			return
		}
		s.serve(st)
	}
}

// serve gives a stream its turn. It ends with the content, with a window, or with the output's being full, in which case it goes on
// next time.
func (s *Session) serve(st *Stream) {
	short := st.queue == &s.schedule.short
	for !st.kept.empty() && len(s.out) < s.c.MaxOutput {
		n := min(int64(st.kept.len()), maxFrame, st.sendWindow, s.sendWindow)
		if !short {
			n = min(n, int64(st.turn))
		}
		if n <= 0 {
			break
		}
		s.takeKept(st, int(n))
		if short {
			s.schedule.shortRun += int(n)
		} else {
			st.turn -= int(n)
		}
	}
	switch {
	case st.kept.empty():
		s.schedule.forget(st)
		if st.ended {
			st.finish(st.trailers)
		}
	case st.sendWindow <= 0:
		s.schedule.forget(st)
	case !short && st.turn <= 0:
		s.schedule.forget(st)
		s.schedule.ready(st)
	}
}

// takeKept puts out one DATA frame of what a stream has kept.
func (s *Session) takeKept(st *Stream, n int) {
	s.room(headLen + n)
	st.beginFrame(n)
	var freed int
	s.out, freed = st.kept.read(s.out, n)
	s.schedule.keep(-freed)
	s.schedule.stirred = true
	st.spent(n)
}

// stir tells blocked streams that have room again, and takes what they then write into the output.
func (s *Session) stir() {
	for s.schedule.stirred {
		s.schedule.stirred = false
		if !s.wake() {
			return
		}
		s.fill()
	}
}

func (s *Session) wake() (woken bool) {
	q := &s.schedule
	for i := 0; i < len(q.blocked) && s.err == nil; {
		st := q.blocked[i]
		if !st.writable() {
			i++
			continue
		}
		q.unblock(st)
		woken = true
		s.h.Writable(st)
		i = 0 // whoever came before may have room, or be gone
	}
	return woken
}
