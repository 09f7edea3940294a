package h3

import "time"

// SetManyYoung has clients show that they receive what is sent to their address from n handshakes under way on.
func (s *Server) SetManyYoung(n int) { s.manyYoung = n }

// SetFarewell sets how long a client may take to read an answer that has arrived.
func (s *Server) SetFarewell(d time.Duration) { s.farewell = d }
