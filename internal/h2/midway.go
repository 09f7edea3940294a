package h2

// Midway reports whether something has begun that the client should soon complete: a header section, or a frame that is not
// content. How long that may take is the driver's to say.
func (s *Session) Midway() bool {
	return s.block.open || s.in.headLen > 0 || s.in.mode == whole
}
