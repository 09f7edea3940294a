package h2

import (
	"slices"
	"sync"

	"github.com/usher-http/usher/internal/message"
)

// A Stream is one request and its answer. Once it is closed, its methods do nothing.
type Stream struct {
	Value any // the driver's

	s  *Session
	id uint32

	responded bool // the final header section is out
	ended     bool // the answer is complete as far as the handler is concerned
	sent      bool // END_STREAM is out
	remote    bool // END_STREAM has come
	discard   bool // the handler wants no content
	enough    bool // more than discardLimit was thrown away: a reset follows the answer
	released  bool
	closed    bool
	blocked   bool // Writable is due
	urgency   uint8

	req      message.Request
	trailers message.Fields // to be sent behind the content

	left       int64 // content that is still to come by Content-Length; negative: unknown
	recvWindow int64 // what the client may send
	owed       int   // content that was handed on and not used up yet
	giveBack   int   // used up since the last WINDOW_UPDATE
	discarded  int

	sendWindow int64
	kept       contentBuffer // written, and not sent yet
	want       int           // what the last Write could not take
	out        int64         // bytes of content that went out
	turn       int           // bytes that it may still send in its turn
	queue      *queue
	next, prev *Stream

	at    int // of the last HEADERS or DATA in the output, if batch is still the output's
	batch uint32
}

// streamPool has streams that were released and closed.
var streamPool = sync.Pool{New: func() any { return new(Stream) }}

// keptFields is how long a slice of fields may be that is kept for another request.
const keptFields = 64

func (s *Session) newStream(id uint32) *Stream {
	st := s.spare
	if s.spare = nil; st == nil {
		st = streamPool.Get().(*Stream)
	}
	st.s, st.id = s, id
	st.recvWindow = int64(s.c.StreamWindow)
	st.sendWindow = s.initial
	st.left = -1
	st.urgency = defaultUrgency
	return st
}

// recycle makes a stream ready for another request. Nobody has it any more.
func (s *Session) recycle(st *Stream) {
	fields, hosts := st.req.Fields, st.req.Hosts
	*st = Stream{}
	if cap(fields) <= keptFields {
		clear(fields)
		st.req.Fields = fields[:0]
	}
	if cap(hosts) <= keptFields {
		clear(hosts)
		st.req.Hosts = hosts[:0]
	}
	if s.spare == nil {
		s.spare = st
	} else {
		streamPool.Put(st)
	}
}

// close takes a stream out of the session. ignore says that frames for it which are still on their way are no error.
func (s *Session) close(st *Stream, ignore bool) {
	st.closed = true
	delete(s.streams, st.id)
	s.closed.add(st.id, ignore)
	s.schedule.forget(st)
	s.schedule.drop(st)
	if st.owed > 0 {
		// The client is not to lack window for content that nobody will use.
		s.refund(int64(st.owed))
		st.owed = 0
	}
	if st.released {
		s.recycle(st)
	}
}

// ID returns the number of the stream.
func (st *Stream) ID() uint32 { return st.id }

// Progress returns how many bytes of content have gone out, and how many wait for the client to take them.
func (st *Stream) Progress() (sent int64, waiting int) { return st.out, st.kept.len() }

// Open reports whether neither side has reset the stream and the answer is not finished.
func (st *Stream) Open() bool { return !st.closed && !st.ended && st.s.err == nil }

// Inform sends an interim answer: 1xx but 101, which HTTP/2 does not have (RFC 9113 section 8.6).
func (st *Stream) Inform(status int, f message.Fields) {
	if st.Open() && !st.responded && status >= 100 && status < 200 && status != 101 {
		st.s.appendHeaders(st, status, f, false)
	}
}

// Respond sends the header section of the answer, once: 200 to 999. With end there is no content. Fields that HTTP/2 cannot carry, being
// about the connection or invalid, are left out.
func (st *Stream) Respond(status int, f message.Fields, end bool) {
	if !st.Open() || st.responded {
		return
	}
	if status < 200 || status > 999 {
		st.Reset(InternalError)
		return
	}
	st.responded = true
	st.s.appendHeaders(st, status, f, end)
	if end {
		st.ended = true
		st.complete()
	}
}

// Close completes the answer: END_STREAM, and the trailers if there are any, follow what was written.
func (st *Stream) Close(trailers message.Fields) {
	if !st.Open() {
		return
	}
	if !st.responded {
		st.Reset(InternalError)
		return
	}
	st.ended = true
	st.s.schedule.unblock(st)
	if st.kept.empty() {
		st.finish(trailers)
		return
	}
	st.trailers = slices.Clone(trailers)
	st.s.schedule.finished(st)
}

// finish puts out the end of the answer, all content being out.
func (st *Stream) finish(trailers message.Fields) {
	s := st.s
	switch {
	case len(trailers) > 0:
		s.appendHeaders(st, 0, trailers, true)
	case st.batch == s.batch:
		s.out[st.at+flagsAt] |= flagEndStream
	default:
		s.out = appendHead(s.out, 0, frameData, flagEndStream, st.id)
	}
	st.complete()
}

// complete takes note that END_STREAM is out.
func (st *Stream) complete() {
	st.sent = true
	s := st.s
	s.budget.earn(earnedAnswer)
	switch {
	case st.remote:
		s.close(st, false)
	case st.enough:
		st.stop()
	}
}

// Reset breaks the stream off; what was written and is not sent yet is dropped. The handler hears nothing of it.
func (st *Stream) Reset(code ErrCode) {
	if st.closed || st.s.err != nil {
		return
	}
	st.s.appendReset(st.id, code)
	st.s.close(st, true)
}

// stop asks the client to send no more, the answer being complete: "A server ... MAY request that the client abort transmission of a
// request without error by sending a RST_STREAM with an error code of NO_ERROR after sending a complete response"
// (RFC 9113 section 8.1).
func (st *Stream) stop() { st.Reset(NoError) }

// Release says that the handler is done with the stream: no event comes for it any more, and once it is closed it may be used for
// another. What was written is still sent, content that comes is thrown away. An answer that is not finished is broken off.
func (st *Stream) Release() {
	if st.released {
		return
	}
	st.released = true
	switch {
	case st.closed:
		st.s.recycle(st)
	case !st.ended:
		st.Reset(InternalError)
	default:
		st.Discard()
	}
}

// mark remembers where a frame of the stream is in the output.
func (st *Stream) mark(at int) { st.at, st.batch = at, st.s.batch }
