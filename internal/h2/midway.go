package h2

// Midway reports whether something has begun that the client should soon complete: a header section, or a frame that is not
// content. How long that may take is the driver's to say.
func (s *Session) Midway() bool {
	return s.block.open || s.in.headLen > 0 || s.in.mode == whole
}

// Opening reports whether it is the header section of a request, as far as that can be known.
func (s *Session) Opening() bool {
	switch {
	case s.block.open:
		return s.block.id > s.lastID
	case s.in.mode == whole && s.in.frame.kind == frameHeaders:
		return s.in.frame.id > s.lastID
	}
	return false
}
