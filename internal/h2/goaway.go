package h2

// leaving is how far a graceful shutdown is (RFC 9113 section 6.8).
type leaving uint8

const (
	staying   leaving = iota
	announced         // GOAWAY with the highest number is out: requests that are on their way are still served
	final             // GOAWAY with the last stream that is served is out
)

// GoAway announces the end: GOAWAY with the number 2^31-1 and a PING. When the client has answered that, or FinishGoAway is
// called, GOAWAY with the last stream follows; later streams are refused with REFUSED_STREAM.
func (s *Session) GoAway() {
	if s.leaving != staying || s.err != nil || s.lost {
		return
	}
	s.leaving = announced
	s.appendGoAway(maxStreamID, NoError)
	s.appendPing(0, pingLeaving[:])
}

// FinishGoAway does not wait for the answer to the PING.
func (s *Session) FinishGoAway() {
	if s.leaving == final || s.err != nil || s.lost {
		return
	}
	s.leaving = final
	s.finalID = s.lastID
	s.appendGoAway(s.finalID, NoError)
}

// Ending reports whether GoAway was called, or the client has sent GOAWAY.
func (s *Session) Ending() bool { return s.leaving != staying || s.clientLeft }

// Done reports whether nothing is left to do: the session is ending finally, no stream is open, and nothing waits to be sent.
func (s *Session) Done() bool {
	over := s.leaving == final || s.clientLeft || s.err != nil || s.lost
	return over && len(s.streams) == 0 && !s.Pending()
}

// onGoAway is RFC 9113 section 6.8: the client begins no further streams.
func (s *Session) onGoAway() *ConnError {
	s.clientLeft = true
	return s.budget.spend(costSettings)
}
