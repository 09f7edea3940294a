package h2

import "encoding/binary"

// appendUint32 puts out a frame whose payload is a number: WINDOW_UPDATE and RST_STREAM.
func (s *Session) appendUint32(kind byte, id, value uint32) {
	if s.err != nil || s.lost {
		return
	}
	s.out = appendHead(s.out, 4, kind, 0, id)
	s.out = binary.BigEndian.AppendUint32(s.out, value)
	s.control += headLen + 4
}

func (s *Session) appendReset(id uint32, code ErrCode) { s.appendUint32(frameReset, id, uint32(code)) }

func (s *Session) appendPing(flags byte, data []byte) {
	s.out = appendHead(s.out, len(data), framePing, flags, 0)
	s.out = append(s.out, data...)
	s.control += headLen + len(data)
}

func (s *Session) appendGoAway(last uint32, code ErrCode) {
	s.out = appendHead(s.out, 8, frameGoAway, 0, 0)
	s.out = binary.BigEndian.AppendUint32(s.out, last)
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(code))
}

// onSettings is RFC 9113 section 6.5.
func (s *Session) onSettings(h head, p []byte) *ConnError {
	if h.has(flagAck) {
		return s.onSettingsAck()
	}
	if err := s.budget.spend(costSettings + len(p)/settingLen); err != nil {
		return err
	}
	initial := s.initial
	for ; len(p) >= settingLen; p = p[settingLen:] {
		id, value := binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])
		if err := checkSetting(id, value); err != nil {
			return err
		}
		switch id {
		case settingHeaderTableSize:
			s.enc.resize(value)
		case settingInitialWindowSize:
			initial = int64(value)
		}
	}
	if err := s.setInitialWindow(initial); err != nil {
		return err
	}
	s.settled = true
	s.out = appendHead(s.out, 0, frameSettings, flagAck, 0)
	s.control += headLen
	return nil
}

// onSettingsAck takes the client's acknowledgement. There is one to come: our SETTINGS never change.
func (s *Session) onSettingsAck() *ConnError {
	if s.acked {
		return connError(ProtocolError, "SETTINGS acknowledged that were not sent")
	}
	s.acked = true
	return nil
}

// checkSetting says which values RFC 9113 section 6.5.2 and its extensions refuse. Settings that are unknown, or of no use to a
// server, are ignored.
func checkSetting(id uint16, value uint32) *ConnError {
	switch id {
	case settingEnablePush, settingEnableConnect, settingNoPriorities:
		if value > 1 {
			return connError(ProtocolError, "a setting is neither 0 nor 1")
		}
	case settingInitialWindowSize:
		if value > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
		}
	case settingMaxFrameSize:
		if value < maxFrame || value > 1<<24-1 {
			return connError(ProtocolError, "SETTINGS_MAX_FRAME_SIZE is out of bounds")
		}
	}
	return nil
}

// setInitialWindow applies a changed SETTINGS_INITIAL_WINDOW_SIZE to the streams that are open (RFC 9113 section 6.9.2). Windows
// may become negative.
func (s *Session) setInitialWindow(initial int64) *ConnError {
	delta := initial - s.initial
	if delta == 0 {
		return nil
	}
	s.initial = initial
	for _, id := range s.open() {
		st := s.streams[id]
		if st.sendWindow+delta > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE lets a window overflow")
		}
		st.sendWindow += delta
		s.schedule.windowChanged(st)
	}
	return nil
}

// Our own PINGs can be told apart by what they carry.
var (
	pingAlive   = [8]byte{'u', 's', 'h', 'e', 'r', 'p', 'n', 'g'}
	pingLeaving = [8]byte{'u', 's', 'h', 'e', 'r', 'b', 'y', 'e'}
)

// onPing is RFC 9113 section 6.7.
func (s *Session) onPing(h head, p []byte) *ConnError {
	if !h.has(flagAck) {
		s.appendPing(flagAck, p)
		return s.budget.spend(costPing)
	}
	switch [8]byte(p) {
	case pingAlive:
		if s.pinging {
			s.pinging = false
			s.h.Pong()
			return nil
		}
	case pingLeaving:
		if s.leaving == announced {
			s.FinishGoAway()
			return nil
		}
	}
	return s.budget.spend(costPing)
}

// Ping queues a PING, unless one is under way. Handler.Pong hears the answer.
func (s *Session) Ping() {
	if !s.pinging && s.err == nil && !s.lost {
		s.pinging = true
		s.appendPing(0, pingAlive[:])
	}
}

// onReset is RFC 9113 section 6.4.
func (s *Session) onReset(h head) *ConnError {
	st := s.streams[h.id]
	if st == nil {
		if s.idle(h.id) {
			return connError(ProtocolError, "RST_STREAM on an idle stream")
		}
		return s.budget.spend(costIgnored)
	}
	cost := costReset
	if st.sent {
		cost = costIgnored // the answer was complete
	}
	silent := st.released
	s.close(st, false)
	if !silent {
		s.h.Reset(st)
	}
	s.schedule.stirred = true
	return s.budget.spend(cost)
}

// onWindowUpdate is RFC 9113 section 6.9.
func (s *Session) onWindowUpdate(h head, p []byte) *ConnError {
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if err := s.budget.spend(costWindowUpdate); err != nil {
		return err
	}
	if h.id == 0 {
		if n == 0 {
			return connError(ProtocolError, "WINDOW_UPDATE of 0 on the connection")
		}
		if s.sendWindow += n; s.sendWindow > maxWindow {
			return connError(FlowControlError, "the connection's window overflows")
		}
		return nil
	}
	st := s.streams[h.id]
	switch {
	case st == nil && s.idle(h.id):
		return connError(ProtocolError, "WINDOW_UPDATE on an idle stream")
	case st == nil:
		return nil // the client may not know yet that it is closed (section 5.1)
	case n == 0:
		return s.refuse(st, ProtocolError)
	case st.sendWindow+n > maxWindow:
		return s.refuse(st, FlowControlError)
	}
	st.sendWindow += n
	s.schedule.windowChanged(st)
	return nil
}

// onPriority checks what RFC 9113 section 5.3.2 lets us ignore. That a stream does not depend on itself is left from RFC 7540
// section 5.3.1.
func (s *Session) onPriority(h head, p []byte) *ConnError {
	code := NoError
	if len(p) != 5 {
		// "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error of type FRAME_SIZE_ERROR."
		code = FrameSizeError
	} else if dependsOnItself(h.id, p) {
		code = ProtocolError
	}
	if code == NoError {
		return s.budget.spend(costPriority)
	}
	if st := s.streams[h.id]; st != nil {
		return s.refuse(st, code)
	}
	// There is no stream that could be reset.
	return connError(code, "malformed PRIORITY")
}

func dependsOnItself(id uint32, p []byte) bool {
	return binary.BigEndian.Uint32(p)&maxStreamID == id
}

// idle reports whether a stream that is not open has never been.
func (s *Session) idle(id uint32) bool { return id > s.lastID || id&1 == 0 }
