package h2

import (
	"encoding/binary"
	"strings"
)

// Urgency is 0, the most urgent, to 7 (RFC 9218 section 4.1).
const (
	defaultUrgency = 3
	leastUrgent    = 7
	unknownUrgency = 0xff
)

// parseUrgency reads the parameter u of a priority (RFC 9218 section 4.1), a structured dictionary. What cannot be read is as if it
// were not there; the other parameters are of no use here.
func parseUrgency(value string) uint8 {
	urgency := uint8(unknownUrgency)
	for member := range strings.SplitSeq(value, ",") {
		member, _, _ = strings.Cut(member, ";")
		member = strings.Trim(member, " \t")
		if u, ok := strings.CutPrefix(member, "u="); ok && len(u) == 1 && u[0] >= '0' && u[0] <= '7' {
			urgency = u[0] - '0'
		}
	}
	return urgency
}

// An earlyPriority is a PRIORITY_UPDATE that came before its stream.
type earlyPriority struct {
	id      uint32
	urgency uint8
}

// maxEarly is how many of them are kept.
const maxEarly = 16

// onPriorityUpdate is RFC 9218 section 7.1.
func (s *Session) onPriorityUpdate(p []byte) *ConnError {
	id := binary.BigEndian.Uint32(p) & maxStreamID
	if id == 0 {
		return connError(ProtocolError, "PRIORITY_UPDATE for stream 0")
	}
	if err := s.budget.spend(costPriority); err != nil {
		return err
	}
	urgency := parseUrgency(string(p[4:]))
	if urgency == unknownUrgency {
		urgency = defaultUrgency
	}
	if st := s.streams[id]; st != nil {
		st.urgency = urgency
	} else if id > s.lastID && id&1 == 1 {
		s.keepEarly(earlyPriority{id, urgency})
	}
	return nil
}

// keepEarly keeps the most recent: "When the PRIORITY_UPDATE frame is received before the stream is opened, servers SHOULD buffer
// the most recently received one".
func (s *Session) keepEarly(e earlyPriority) {
	for i := range s.early {
		if s.early[i].id == e.id {
			s.early[i] = e
			return
		}
	}
	if len(s.early) == maxEarly {
		copy(s.early, s.early[1:])
		s.early = s.early[:maxEarly-1]
	}
	s.early = append(s.early, e)
}

// urgencyOf returns the urgency of a new stream: an update that came early overrides the field of the request.
func (s *Session) urgencyOf(id uint32, fromField uint8) uint8 {
	if len(s.early) > 0 {
		kept := s.early[:0]
		for _, e := range s.early {
			switch {
			case e.id == id:
				fromField = e.urgency
			case e.id > id:
				kept = append(kept, e)
			}
		}
		s.early = kept
	}
	if fromField == unknownUrgency {
		return defaultUrgency
	}
	return fromField
}
