package h2

import (
	"maps"
	"slices"

	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// A Session is the server's side of one connection. Use NewSession.
type Session struct {
	c   Config // without zeros
	h   Handler
	err *ConnError

	in      input
	dec     *hpack.Decoder
	section section
	block   block

	out     []byte // frames that are ready, in the order in which they go out
	small   []byte // the buffer that a large one has taken the place of; nil: there is none
	batch   uint32 // which of the buffers that Output takes out is the one: places in it are valid in one batch alone
	control int    // bytes of frames in it that answer the client's control frames
	enc     encoder

	streams map[uint32]*Stream // the open ones
	lastID  uint32             // the highest that the client has begun
	closed  closedStreams
	spare   *Stream // one to use again
	early   []earlyPriority

	recvWindow int64 // what the client may send
	giveBack   int64 // what has been used up since the last WINDOW_UPDATE
	sendWindow int64
	initial    int64 // the window that new streams have towards the client
	schedule   schedule
	budget     budget

	settled, acked bool // the client's SETTINGS came; it has acknowledged ours
	lost           bool
	pinging        bool
	leaving        leaving
	clientLeft     bool
	finalID        uint32 // of the last GOAWAY: later streams are refused
}

// NewSession begins a session: its first output is SETTINGS. origin is a whole ORIGIN frame to send right behind them; nil: none.
func NewSession(c *Config, h Handler, origin []byte) *Session {
	s := &Session{
		c:          c.withDefaults(),
		h:          h,
		streams:    map[uint32]*Stream{},
		sendWindow: defaultWindow,
		initial:    defaultWindow,
		finalID:    maxStreamID,
	}
	s.recvWindow = int64(s.c.ConnWindow)
	s.schedule.account = s.c.Account
	s.budget.fill()
	s.enc.init()
	s.dec = hpack.NewDecoder(maxTable, s.field)
	s.out = appendHead(s.out, 5*settingLen, frameSettings, 0, 0)
	s.out = appendSetting(s.out, settingMaxConcurrentStreams, s.c.MaxStreams)
	s.out = appendSetting(s.out, settingInitialWindowSize, s.c.StreamWindow)
	s.out = appendSetting(s.out, settingMaxHeaderListSize, s.c.MaxHeaderBytes)
	s.out = appendSetting(s.out, settingEnableConnect, 1)
	s.out = appendSetting(s.out, settingNoPriorities, 1)
	s.out = append(s.out, origin...)
	if s.c.ConnWindow > defaultWindow {
		s.appendUint32(frameWindowUpdate, 0, s.c.ConnWindow-defaultWindow)
	}
	return s
}

// Streams returns how many streams are open.
func (s *Session) Streams() int { return len(s.streams) }

// Settled reports whether the client's preface and its first SETTINGS have come.
func (s *Session) Settled() bool { return s.settled }

// Origin queues a further ORIGIN frame (RFC 8336 section 2.1).
func (s *Session) Origin(frame []byte) {
	if s.err == nil && !s.lost {
		s.out = append(s.out, frame...)
	}
}

// Credit gives back n points of the budget that floods use up. The session has no clock: the driver calls it as time passes.
func (s *Session) Credit(n int) { s.budget.earn(n) }

// Lost says that the connection is gone: every open stream is reset, with the event, and nothing goes out any more.
func (s *Session) Lost() {
	if s.lost {
		return
	}
	s.lost = true
	s.resetAll()
	s.out = nil
	s.batch++
}

// Rest lets go of buffers that are only needed while something is under way. It may be called at any time.
func (s *Session) Rest() {
	s.in.rest()
	if len(s.block.fragments) == 0 {
		s.block.fragments = nil
	}
	if s.small = nil; len(s.out) == 0 {
		s.out = nil
	}
	if len(s.streams) == 0 {
		clear(s.schedule.blocked)
		s.schedule.blocked = nil
		s.streams = map[uint32]*Stream{} // a map never shrinks
	}
	if s.spare != nil {
		streamPool.Put(s.spare)
		s.spare = nil
	}
	s.section.crumbs = nil
}

// fail ends the session with an error of the connection: GOAWAY is the last that goes out.
func (s *Session) fail(err *ConnError) {
	s.err = err
	s.appendGoAway(min(s.lastID, s.finalID), err.Code)
	s.resetAll()
}

// resetAll takes all streams down, with the event, in the order in which they came.
func (s *Session) resetAll() {
	for _, id := range s.open() {
		if st := s.streams[id]; st != nil {
			s.takeDown(st)
		}
	}
}

// open returns the numbers of the open streams, so that what concerns all is done in one order, whatever a map's is.
func (s *Session) open() []uint32 { return slices.Sorted(maps.Keys(s.streams)) }

// takeDown closes a stream, and says so to the handler where that is not done with it.
func (s *Session) takeDown(st *Stream) {
	silent := st.released
	s.close(st, true)
	if !silent {
		s.h.Reset(st)
	}
}

// refuse answers an error of a stream (RFC 9113 section 5.4.2) that is open.
func (s *Session) refuse(st *Stream, code ErrCode) *ConnError {
	s.appendReset(st.id, code)
	s.takeDown(st)
	return s.budget.spend(costFault)
}

// appendHeaders puts out the header section of an answer, or trailers where status is 0, and remembers in st where it is.
func (s *Session) appendHeaders(st *Stream, status int, f message.Fields, end bool) {
	at := len(s.out)
	var flags byte = flagEndHeaders
	if end {
		flags |= flagEndStream
	}
	s.out = appendHead(s.out, 0, frameHeaders, flags, st.id)
	s.out = s.enc.section(s.out, status, f)
	if n := len(s.out) - at - headLen; n <= maxFrame {
		putLength(s.out[at:], n)
	} else {
		s.continued(at, st.id)
	}
	st.mark(at)
}

// continued makes CONTINUATION frames of what is too long for the HEADERS frame at at (RFC 9113 section 6.10).
func (s *Session) continued(at int, id uint32) {
	rest := slices.Clone(s.out[at+headLen+maxFrame:])
	s.out = s.out[:at+headLen+maxFrame]
	putLength(s.out[at:], maxFrame)
	s.out[at+flagsAt] &^= flagEndHeaders
	for len(rest) > 0 {
		n := min(len(rest), maxFrame)
		var flags byte
		if n == len(rest) {
			flags = flagEndHeaders
		}
		s.out = appendHead(s.out, n, frameContinuation, flags, id)
		s.out = append(s.out, rest[:n]...)
		rest = rest[n:]
	}
}
