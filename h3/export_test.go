package h3

// SetManyYoung has clients show that they receive what is sent to their address from n handshakes under way on.
func (s *Server) SetManyYoung(n int) { s.manyYoung = n }
