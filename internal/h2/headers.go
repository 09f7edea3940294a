package h2

import "github.com/usher-http/usher/internal/message"

// A block is the field block of a header section that is spread over several frames (RFC 9113 section 4.3). It is decoded when it
// is complete, so that what it costs does not depend on how it was cut.
type block struct {
	open      bool // CONTINUATION is to come
	id        uint32
	end       bool // END_STREAM
	fault     bool // the stream is to be refused
	frames    int
	fragments []byte
}

// hardLimit is how many times MaxHeaderBytes a header section may have, encoded or decoded, before the connection ends: until then it
// is read to its end, because the table of HPACK belongs to the whole connection.
const hardLimit = 4

// onHeaders is RFC 9113 section 6.2.
func (s *Session) onHeaders(h head, p []byte) *ConnError {
	if h.id&1 == 0 {
		// "Streams initiated by a client MUST use odd-numbered stream identifiers".
		return connError(ProtocolError, "HEADERS on a stream that is the server's")
	}
	p, err := unpadHeaders(h, p)
	if err != nil {
		return err
	}
	fault := false
	if h.has(flagPriority) {
		if len(p) < 5 {
			return connError(FrameSizeError, "HEADERS is too short for its priority")
		}
		fault = dependsOnItself(h.id, p)
		p = p[5:]
	}
	end := h.has(flagEndStream)
	if h.has(flagEndHeaders) {
		return s.onSection(h.id, p, end, fault)
	}
	s.block = block{open: true, id: h.id, end: end, fault: fault, fragments: append(s.block.fragments[:0], p...)}
	return nil
}

func unpadHeaders(h head, p []byte) ([]byte, *ConnError) {
	if !h.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, connError(FrameSizeError, "HEADERS is too short for its padding")
	}
	pad := int(p[0])
	if p = p[1:]; pad > len(p) {
		return nil, connError(ProtocolError, "the padding is longer than the frame")
	}
	return p[:len(p)-pad], nil
}

// onContinuation is RFC 9113 section 6.10.
func (s *Session) onContinuation(h head, p []byte) *ConnError {
	b := &s.block
	if !b.open {
		return connError(ProtocolError, "CONTINUATION without HEADERS")
	}
	if err := s.budget.spend(costContinuation); err != nil {
		return err
	}
	b.frames++
	if b.frames > maxContinuation || uint64(len(b.fragments)+len(p)) > hardLimit*uint64(s.c.MaxHeaderBytes) {
		return connError(EnhanceYourCalm, "a header section without end")
	}
	b.fragments = append(b.fragments, p...)
	if !h.has(flagEndHeaders) {
		return nil
	}
	b.open = false
	err := s.onSection(b.id, b.fragments, b.end, b.fault)
	if b.fragments = b.fragments[:0]; cap(b.fragments) > keptPart {
		b.fragments = nil
	}
	return err
}

// onSection takes a field block that is complete. It is decoded whatever becomes of it.
func (s *Session) onSection(id uint32, fragments []byte, end, fault bool) *ConnError {
	if st := s.streams[id]; st != nil {
		return s.onTrailers(st, fragments, end, fault)
	}
	if id <= s.lastID {
		if err := s.decode(ignoredSection, nil, fragments); err != nil {
			return err
		}
		return s.headersOnClosed(id)
	}
	s.lastID = id
	if id > s.finalID || len(s.streams) >= int(s.c.MaxStreams) || fault {
		if err := s.decode(ignoredSection, nil, fragments); err != nil {
			return err
		}
		return s.turnAway(id, fault)
	}
	st := s.newStream(id)
	if err := s.decode(requestSection, st, fragments); err != nil {
		return err
	}
	return s.onRequest(st, end)
}

// turnAway refuses a stream that was never open.
func (s *Session) turnAway(id uint32, fault bool) *ConnError {
	s.closed.add(id, true)
	if fault {
		s.h.Malformed(new(message.Request), "a stream that depends on itself")
		s.appendReset(id, ProtocolError)
		return s.budget.spend(costFault)
	}
	// "... that is, the request can be retried" (RFC 9113 section 8.7).
	s.appendReset(id, RefusedStream)
	return s.budget.spend(costRefused)
}

func (s *Session) headersOnClosed(id uint32) *ConnError {
	switch s.closed.past(id) {
	case ignored:
		return s.budget.spend(costIgnored)
	case ended:
		// "An endpoint MAY treat receipt of any other type of frame on a closed stream as a connection error (Section 5.4.1) of
		// type STREAM_CLOSED". No request that goes wrong looks like that.
		return connError(StreamClosed, "HEADERS on a closed stream")
	}
	// "An endpoint that receives an unexpected stream identifier MUST respond with a connection error of type PROTOCOL_ERROR."
	return connError(ProtocolError, "HEADERS on a stream that the client has gone past")
}

// onRequest begins a stream.
func (s *Session) onRequest(st *Stream, end bool) *ConnError {
	sec := &s.section
	id := st.id
	if sec.bad != "" || !sec.large && !sec.finish(&st.req, end) {
		s.h.Malformed(&st.req, sec.bad)
		st.released = true
		s.recycle(st)
		s.closed.add(id, true)
		s.appendReset(id, ProtocolError)
		return s.budget.spend(costFault)
	}
	st.remote = end
	st.urgency = s.urgencyOf(id, sec.urgency)
	s.streams[id] = st
	if sec.large {
		st.discard = true
		s.h.TooLarge(st)
		return s.budget.spend(costFault)
	}
	if !end {
		st.left = st.req.Length
		st.discard = st.left == 0
	}
	s.h.Request(st, &st.req)
	return nil
}

// onTrailers takes a second header section of a request (RFC 9113 section 8.1).
func (s *Session) onTrailers(st *Stream, fragments []byte, end, fault bool) *ConnError {
	if err := s.decode(trailerSection, nil, fragments); err != nil {
		return err
	}
	sec := &s.section
	trailers := sec.trailers
	sec.trailers = nil
	switch {
	case st.remote:
		return s.refuse(st, StreamClosed)
	case fault, sec.bad != "", !end:
		// "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that opens
		// a request ... MUST treat the corresponding request or response as malformed".
		return s.refuse(st, ProtocolError)
	case sec.large:
		return s.refuse(st, EnhanceYourCalm)
	}
	return s.endOfRequest(st, trailers)
}
