package h2

import "sync/atomic"

// An Account counts what the sessions that share it keep of content that their clients have not taken, in bytes of memory, and what others
// who share it keep. Counting and asking are safe for concurrent use.
type Account struct {
	Soft int64 // beyond it each session keeps less; 0: no limit
	Hard int64 // beyond it the account is full, which is for those who drive sessions to know; 0: no limit
	kept atomic.Int64
}

// fewer is what the streams of a session may keep together beyond Soft, and the reserve of each.
const fewer = 64 << 10

// Kept returns how much is kept now.
func (a *Account) Kept() int64 { return a.kept.Load() }

// Full reports whether that is more than Hard.
func (a *Account) Full() bool { return a.Hard > 0 && a.kept.Load() > a.Hard }

// Add counts n bytes that are kept, or are not any more, where n is negative.
func (a *Account) Add(n int) {
	if a != nil && n != 0 {
		a.kept.Add(int64(n))
	}
}

// Exceeded reports whether that is more than Soft.
func (a *Account) Exceeded() bool { return a != nil && a.Soft > 0 && a.kept.Load() > a.Soft }

// keep counts n bytes that are kept, or are not any more, where n is negative.
func (q *schedule) keep(n int) {
	q.held += n
	q.account.Add(n)
}

// Kept returns how much memory is taken by content that the client has not taken yet.
func (s *Session) Kept() int { return s.schedule.held }

// Await returns how much Write would take now. Where that is less than want, and something waits for the client already, Handler.Writable
// says when to ask again, as if Write had taken less than it was given.
func (st *Stream) Await(want int) int {
	if !st.Open() || !st.responded {
		return 0
	}
	s := st.s
	n := max(0, st.room())
	if st.kept.empty() {
		if s.schedule.empty() {
			n += int(max(0, min(int64(s.c.MaxOutput-len(s.out)), st.sendWindow, s.sendWindow)))
		}
		return n
	}
	if n < want {
		st.want = want
		s.schedule.block(st)
	}
	return n
}
