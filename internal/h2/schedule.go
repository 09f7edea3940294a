package h2

import "slices"

// A schedule says whose content goes out next. Streams with content and an open window wait in one of two queues. Finished answers
// with little left go first. The others take turns, whose length depends on the urgency that the client gave them (RFC 9218):
// the most urgent get more, but each turn comes, so nobody starves. That a response can be used incrementally is not
// looked at: all share.
type schedule struct {
	short, long queue
	shortRun    int // bytes that short answers have gone ahead of the others
	held        int // memory of content that is kept
	account     *Account

	blocked []*Stream // whose Write took less than it was given, the longest waiting first
	stirred bool      // there may be room for one of them
}

const (
	shortAnswer = 16 << 10 // what is left of an answer that goes first
	maxShortRun = 32 << 10 // bytes after which one of the others has its turn
	leastTurn   = 1 << 10  // of the least urgent; each step of urgency doubles it
)

func (q *schedule) empty() bool { return q.short.first == nil && q.long.first == nil }

// ready puts a stream that has content into its queue, unless its window is closed.
func (q *schedule) ready(st *Stream) {
	if st.queue != nil || st.kept.empty() || st.sendWindow <= 0 {
		return
	}
	if st.ended && st.kept.len() <= shortAnswer {
		q.short.add(st)
		return
	}
	st.turn = turnOf(st)
	q.long.add(st)
}

func turnOf(st *Stream) int { return leastTurn << (leastUrgent - st.urgency) }

// finished has an answer whose end is known go first where little is left.
func (q *schedule) finished(st *Stream) {
	if st.queue == &q.long && st.kept.len() <= shortAnswer {
		q.long.remove(st)
		q.ready(st)
	}
}

// windowChanged looks at a stream whose window has become another.
func (q *schedule) windowChanged(st *Stream) {
	if st.sendWindow > 0 {
		q.ready(st)
	} else {
		q.forget(st)
	}
}

// forget takes a stream out of its queue.
func (q *schedule) forget(st *Stream) {
	if st.queue != nil {
		st.queue.remove(st)
	}
}

// drop gives up what a stream has kept, and its place among the blocked.
func (q *schedule) drop(st *Stream) {
	if !st.kept.empty() {
		q.keep(-st.kept.drop())
		q.stirred = true
	}
	q.unblock(st)
}

// unblock says that a stream writes no more.
func (q *schedule) unblock(st *Stream) {
	if st.blocked {
		st.blocked = false
		i := slices.Index(q.blocked, st)
		q.blocked = slices.Delete(q.blocked, i, i+1)
	}
}

func (q *schedule) block(st *Stream) {
	if !st.blocked {
		st.blocked = true
		q.blocked = append(q.blocked, st)
	}
}

// choose returns whose turn it is; nil: nobody waits.
func (q *schedule) choose() *Stream {
	if q.short.first != nil && (q.shortRun < maxShortRun || q.long.first == nil) {
		return q.short.first
	}
	q.shortRun = 0
	return q.long.first
}

// A queue is a list of streams. A stream is in one queue at most.
type queue struct{ first, last *Stream }

func (q *queue) add(st *Stream) {
	st.queue, st.prev = q, q.last
	if q.last == nil {
		q.first = st
	} else {
		q.last.next = st
	}
	q.last = st
}

func (q *queue) remove(st *Stream) {
	if st.prev == nil {
		q.first = st.next
	} else {
		st.prev.next = st.next
	}
	if st.next == nil {
		q.last = st.prev
	} else {
		st.next.prev = st.prev
	}
	st.queue, st.next, st.prev = nil, nil, nil
}
