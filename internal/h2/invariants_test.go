package h2

import (
	"bytes"
	"slices"
	"testing"
)

// checkInvariants looks into a session for what always holds between two calls.
func checkInvariants(t testing.TB, s *Session) {
	t.Helper()
	if s.err != nil || s.lost {
		if len(s.streams) != 0 {
			t.Fatalf("%d streams are open although the connection has ended", len(s.streams))
		}
		return
	}
	checkWindows(t, s)
	checkSchedule(t, s)
	if s.budget.points < 0 || s.budget.points > fullBudget {
		t.Fatalf("the budget is %d", s.budget.points)
	}
	if len(s.streams) > int(s.c.MaxStreams) {
		t.Fatalf("%d streams are open", len(s.streams))
	}
	if limit := hardLimit * int(s.c.MaxHeaderBytes); len(s.block.fragments) > limit || len(s.in.part) > maxFrame {
		t.Fatalf("%d bytes of a section and %d of a frame are kept", len(s.block.fragments), len(s.in.part))
	}
	if len(s.early) > maxEarly {
		t.Fatalf("%d early priorities are kept", len(s.early))
	}
	var size uint32
	for i := range s.enc.entries {
		size += s.enc.entries[i].size()
	}
	if size != s.enc.size || size > s.enc.max || len(s.enc.hashes) != len(s.enc.entries) {
		t.Fatalf("the table of the encoder has %d bytes, counts %d and may have %d", size, s.enc.size, s.enc.max)
	}
}

// checkWindows sees to it that no byte of the windows is lost or made up.
func checkWindows(t testing.TB, s *Session) {
	t.Helper()
	sum := s.recvWindow + s.giveBack
	if s.in.mode == content || s.in.mode == padLength {
		sum += int64(max(0, s.in.left-s.in.pad)) // counted, and not handed on yet
	}
	for id, st := range s.streams {
		sum += int64(st.owed)
		if st.id != id || st.closed {
			t.Fatalf("stream %d is among the open ones as %d, closed: %v", st.id, id, st.closed)
		}
		if st.sendWindow > maxWindow || st.recvWindow > int64(s.c.StreamWindow) || st.owed < 0 {
			t.Fatalf("stream %d: windows %d and %d, owed %d", id, st.sendWindow, st.recvWindow, st.owed)
		}
	}
	if sum != int64(s.c.ConnWindow) {
		t.Fatalf("%d bytes of the connection's window are accounted for, of %d", sum, s.c.ConnWindow)
	}
	if s.sendWindow < 0 || s.sendWindow > maxWindow {
		t.Fatalf("the connection's window is %d", s.sendWindow)
	}
}

func checkSchedule(t testing.TB, s *Session) {
	t.Helper()
	held, kept := 0, 0
	for id, st := range s.streams {
		size := -st.kept.from
		for _, piece := range st.kept.pieces {
			held += cap(piece)
			size += len(piece)
		}
		if size != st.kept.size {
			t.Fatalf("stream %d keeps %d bytes and counts %d", id, size, st.kept.size)
		}
		kept += size
		if waits := !st.kept.empty() && st.sendWindow > 0; waits != (st.queue != nil) {
			t.Fatalf("stream %d has %d bytes and window %d; in a queue: %v", id, st.kept.size, st.sendWindow, st.queue != nil)
		}
		if st.blocked != slices.Contains(s.schedule.blocked, st) {
			t.Fatalf("stream %d: blocked %v", id, st.blocked)
		}
	}
	if held != s.schedule.held {
		t.Fatalf("%d bytes are held and %d counted", held, s.schedule.held)
	}
	if limit := s.c.ConnSendBuffer + int(s.c.MaxStreams)*reserve; kept > limit {
		t.Fatalf("%d bytes are kept, of %d", kept, limit)
	}
	for _, q := range []*queue{&s.schedule.short, &s.schedule.long} {
		var prev *Stream
		for st := q.first; st != nil; prev, st = st, st.next {
			if st.queue != q || st.prev != prev || s.streams[st.id] != st {
				t.Fatalf("stream %d is wrong in its queue", st.id)
			}
		}
		if q.last != prev {
			t.Fatal("a queue has another end than its last stream")
		}
	}
}

// zeros is content for frames of which only the length matters.
var zeros = bytes.Repeat([]byte{0}, maxFrame)
