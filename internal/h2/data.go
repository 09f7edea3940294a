package h2

import "github.com/usher-http/usher/internal/message"

// beginData judges a DATA frame by its header (RFC 9113 section 6.1). Its whole length counts towards both windows.
func (s *Session) beginData(h head) (mode, *ConnError) {
	if h.id == 0 {
		return 0, connError(ProtocolError, "DATA without a stream")
	}
	if h.has(flagPadded) && h.length == 0 {
		return 0, connError(FrameSizeError, "DATA is too short for its padding")
	}
	n := int64(h.length)
	if n > s.recvWindow {
		return 0, connError(FlowControlError, "DATA exceeds the connection's window")
	}
	s.recvWindow -= n
	st := s.streams[h.id]
	var err *ConnError
	switch {
	case st == nil:
		err = s.dataOnClosed(h.id)
	case st.remote:
		// "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or RST_STREAM, for a stream that is
		// in this state, it MUST respond with a stream error of type STREAM_CLOSED."
		err = s.refuse(st, StreamClosed)
	case n > st.recvWindow+s.unacknowledged():
		err = s.refuse(st, FlowControlError)
	default:
		st.recvWindow -= n
		s.in.pad = 0
		if h.has(flagPadded) {
			return padLength, nil
		}
		return content, s.beginContent(0)
	}
	s.refund(n)
	return thrownAway, err
}

// unacknowledged returns what a client may send beyond the window that we have announced, because it does not know it yet.
func (s *Session) unacknowledged() int64 {
	if s.acked {
		return 0
	}
	return max(0, defaultWindow-int64(s.c.StreamWindow))
}

func (s *Session) dataOnClosed(id uint32) *ConnError {
	if s.idle(id) {
		return connError(ProtocolError, "DATA on an idle stream")
	}
	if s.closed.past(id) == ignored {
		return s.budget.spend(costIgnored)
	}
	s.closed.ignore(id)
	s.appendReset(id, StreamClosed)
	return s.budget.spend(costFault)
}

func (s *Session) takePadLength(b byte) *ConnError {
	in := &s.in
	in.left--
	in.pad = int(b)
	if in.pad > in.left {
		// "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a
		// connection error of type PROTOCOL_ERROR."
		return connError(ProtocolError, "the padding is longer than the frame")
	}
	in.mode = content
	// What is no content is used up at once.
	if st := s.streams[in.frame.id]; st != nil {
		st.owed += in.pad + 1
		st.consume(in.pad + 1)
	} else {
		s.refund(int64(in.pad) + 1)
	}
	if err := s.beginContent(in.pad); err != nil {
		return err
	}
	if in.left > 0 {
		return nil
	}
	in.mode = betweenFrames
	return s.endOfData()
}

// beginContent judges how much content a DATA frame has, padding aside.
func (s *Session) beginContent(pad int) *ConnError {
	n := s.in.left - pad
	if st := s.streams[s.in.frame.id]; st != nil && st.left >= 0 {
		if st.left -= int64(n); st.left < 0 {
			// "A request or response is also malformed if the value of a Content-Length header field does not equal the sum of
			// the DATA frame payload lengths that form the content".
			return s.refuse(st, ProtocolError)
		}
	}
	s.budget.received(n)
	switch {
	case n == 0 && !s.in.frame.has(flagEndStream):
		return s.budget.spend(costEmptyData)
	case n < pad:
		return s.budget.spend(costPadding)
	}
	return nil
}

// takeContent hands on what has come of a DATA frame. Handlers may do anything, so the stream is looked up each time.
func (s *Session) takeContent(p []byte) ([]byte, *ConnError) {
	in := &s.in
	n := min(len(p), in.left)
	use := min(n, in.left-in.pad)
	in.left -= n
	if use > 0 {
		s.deliver(in.frame.id, p[:use])
	}
	if in.left > 0 {
		return p[n:], nil
	}
	in.mode = betweenFrames
	return p[n:], s.endOfData()
}

func (s *Session) deliver(id uint32, p []byte) {
	st := s.streams[id]
	switch {
	case st == nil:
		s.refund(int64(len(p)))
	case st.discard:
		st.throwAway(len(p))
	default:
		st.owed += len(p)
		s.h.Data(st, p)
	}
}

func (s *Session) endOfData() *ConnError {
	if !s.in.frame.has(flagEndStream) {
		return nil
	}
	if st := s.streams[s.in.frame.id]; st != nil {
		return s.endOfRequest(st, nil)
	}
	return nil
}

// endOfRequest takes END_STREAM behind a request's header section.
func (s *Session) endOfRequest(st *Stream, trailers message.Fields) *ConnError {
	if st.left > 0 {
		return s.refuse(st, ProtocolError) // fewer bytes than Content-Length says
	}
	st.remote = true
	silent := st.discard
	if st.sent {
		s.close(st, false)
	}
	if !silent {
		s.h.End(st, trailers)
	}
	return nil
}

// refund gives content back to the connection's window; WINDOW_UPDATEs are lumped.
func (s *Session) refund(n int64) {
	s.giveBack += n
	if s.giveBack < int64(s.c.ConnWindow)/2 {
		return
	}
	s.appendUint32(frameWindowUpdate, 0, uint32(s.giveBack))
	s.recvWindow += s.giveBack
	s.giveBack = 0
}
