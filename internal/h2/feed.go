package h2

// input is how far the reading of a frame is.
type input struct {
	preface int           // bytes of the client's preface that came
	head    [headLen]byte // of a frame
	headLen int           // bytes of it that came
	frame   head
	mode    mode
	left    int    // bytes of the payload that are still to come
	part    []byte // of a payload that is taken in whole
	pad     int    // of a DATA frame: how much of left is padding
}

// mode is what is done with the payload of a frame.
type mode uint8

const (
	betweenFrames mode = iota
	whole              // kept until it is complete
	padLength          // DATA: the first byte says how long the padding is
	content            // DATA: handed on as it comes
	thrownAway
)

// keptPart is how long a buffer may be that is kept between frames.
const keptPart = 4 << 10

func (in *input) rest() {
	if len(in.part) == 0 {
		in.part = nil
	}
}

// Feed takes all of p, and keeps what is incomplete. An error is a *ConnError: GOAWAY is in the output, to be sent before the
// connection is closed. What comes after an error is not looked at.
func (s *Session) Feed(p []byte) error {
	for len(p) > 0 && s.err == nil && !s.lost {
		rest, err := s.step(p)
		if err == nil && s.control > maxControl {
			err = connError(EnhanceYourCalm, "too many control frames in one go, or none of the answers are read")
		}
		if err != nil {
			s.fail(err)
		}
		p = rest
	}
	if s.err != nil {
		return s.err
	}
	s.stir()
	return nil
}

// step takes as much of p as belongs together, at least one byte.
func (s *Session) step(p []byte) (rest []byte, err *ConnError) {
	in := &s.in
	if in.preface < len(clientPreface) {
		return s.takePreface(p)
	}
	switch in.mode {
	case betweenFrames:
		return s.takeHead(p)
	case whole:
		return s.takeWhole(p)
	case padLength:
		return p[1:], s.takePadLength(p[0])
	case content:
		return s.takeContent(p)
	default:
		n := min(len(p), in.left)
		if in.left -= n; in.left == 0 {
			in.mode = betweenFrames
		}
		return p[n:], nil
	}
}

func (s *Session) takePreface(p []byte) ([]byte, *ConnError) {
	want := clientPreface[s.in.preface:]
	n := min(len(p), len(want))
	if string(p[:n]) != want[:n] {
		// "Clients and servers MUST treat an invalid connection preface as a connection error of type PROTOCOL_ERROR."
		return nil, connError(ProtocolError, "not the preface of HTTP/2")
	}
	s.in.preface += n
	return p[n:], nil
}

// takeHead reads the header of a frame, and decides what becomes of the payload.
func (s *Session) takeHead(p []byte) ([]byte, *ConnError) {
	in := &s.in
	if in.headLen == 0 && len(p) >= headLen {
		in.frame = parseHead(p)
		p = p[headLen:]
	} else {
		n := copy(in.head[in.headLen:], p)
		p = p[n:]
		if in.headLen += n; in.headLen < headLen {
			return p, nil
		}
		in.headLen = 0
		in.frame = parseHead(in.head[:])
	}
	in.left = in.frame.length
	mode, err := s.begin(in.frame)
	if err != nil {
		return p, err
	}
	in.mode = mode
	if in.left > 0 {
		return p, nil
	}
	// Nothing more of this frame comes.
	switch in.mode = betweenFrames; mode {
	case whole:
		return p, s.handle(in.frame, nil)
	case content:
		return p, s.endOfData()
	}
	return p, nil
}

// takeWhole gathers a payload; one that is whole in p is not copied.
func (s *Session) takeWhole(p []byte) ([]byte, *ConnError) {
	in := &s.in
	n := min(len(p), in.left)
	in.left -= n
	if in.left > 0 {
		in.part = append(in.part, p[:n]...)
		return p[n:], nil
	}
	in.mode = betweenFrames
	payload := p[:n]
	if len(in.part) > 0 {
		in.part = append(in.part, payload...)
		payload = in.part
	}
	err := s.handle(in.frame, payload)
	if in.part = in.part[:0]; cap(in.part) > keptPart {
		in.part = nil
	}
	return p[n:], err
}

// begin judges a frame by its header, as far as that can be done.
func (s *Session) begin(h head) (mode, *ConnError) {
	if h.length > maxFrame {
		// "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in SETTINGS_MAX_FRAME_SIZE".
		return 0, connError(FrameSizeError, "a frame is too long")
	}
	if s.block.open && (h.kind != frameContinuation || h.id != s.block.id) {
		// "Any frame other than CONTINUATION ... MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
		return 0, connError(ProtocolError, "a header section is interrupted")
	}
	if !s.settled && (h.kind != frameSettings || h.has(flagAck)) {
		return 0, connError(ProtocolError, "the first frame is not SETTINGS")
	}
	if h.kind == frameData {
		return s.beginData(h)
	}
	if h.kind > frameContinuation && h.kind != framePriorityUpdate {
		// "Implementations MUST ignore and discard frames of unknown types."
		return thrownAway, s.budget.spend(costIgnored)
	}
	if err := checkStream(h); err != nil {
		return 0, err
	}
	return whole, checkLength(h)
}

// checkStream says which frames are for streams, and which for the connection.
func checkStream(h head) *ConnError {
	switch h.kind {
	case frameSettings, framePing, frameGoAway, framePriorityUpdate:
		if h.id != 0 {
			return connError(ProtocolError, "a frame for the connection has a stream")
		}
	case frameWindowUpdate:
	case framePushPromise:
		// "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a connection error of type PROTOCOL_ERROR."
		return connError(ProtocolError, "PUSH_PROMISE from a client")
	default:
		if h.id == 0 {
			return connError(ProtocolError, "a frame for a stream has none")
		}
	}
	return nil
}

// checkLength says how long frames are that have a fixed length. (PRIORITY is judged with its stream.)
func checkLength(h head) *ConnError {
	ok := true
	switch h.kind {
	case frameReset, frameWindowUpdate:
		ok = h.length == 4
	case framePing:
		ok = h.length == 8
	case frameSettings:
		ok = h.length%settingLen == 0 && (!h.has(flagAck) || h.length == 0)
	case frameGoAway:
		ok = h.length >= 8
	case framePriorityUpdate:
		ok = h.length >= 4
	}
	if !ok {
		return connError(FrameSizeError, "a frame has a length that it cannot have")
	}
	return nil
}

// handle takes a frame other than DATA.
func (s *Session) handle(h head, p []byte) *ConnError {
	switch h.kind {
	case frameHeaders:
		return s.onHeaders(h, p)
	case frameContinuation:
		return s.onContinuation(h, p)
	case framePriority:
		return s.onPriority(h, p)
	case frameReset:
		return s.onReset(h)
	case frameSettings:
		return s.onSettings(h, p)
	case framePing:
		return s.onPing(h, p)
	case frameGoAway:
		return s.onGoAway()
	case frameWindowUpdate:
		return s.onWindowUpdate(h, p)
	default:
		return s.onPriorityUpdate(p)
	}
}
