package h2

// discardLimit is how much content is taken in for nothing so that a client may end its request rather than be reset.
const discardLimit = 64 << 10

// Consume says that n bytes of content were used up: the client may send as many again. WINDOW_UPDATEs are lumped, from half a
// window on. What was not consumed when the stream closes is given back then.
func (st *Stream) Consume(n int) {
	if n > 0 && !st.closed {
		st.consume(n)
	}
}

func (st *Stream) consume(n int) {
	n = min(n, st.owed)
	st.owed -= n
	st.s.refund(int64(n))
	if st.remote || st.enough {
		return
	}
	st.giveBack += n
	if st.giveBack == 0 || st.giveBack < int(st.s.c.StreamWindow)/2 {
		return
	}
	st.s.appendUint32(frameWindowUpdate, st.id, uint32(st.giveBack))
	st.recvWindow += int64(st.giveBack)
	st.giveBack = 0
}

// Discard says that the handler wants no more of the content: it is thrown away, and neither Data nor End is called. After 64 KiB
// more, and once the answer is out, the client is asked to stop (RST_STREAM with NO_ERROR, RFC 9113 section 8.1).
func (st *Stream) Discard() {
	if st.closed || st.discard {
		return
	}
	st.discard = true
	st.consume(st.owed)
}

// throwAway takes in content that nobody wants.
func (st *Stream) throwAway(n int) {
	st.owed += n
	st.consume(n)
	if st.discarded += n; st.discarded <= discardLimit || st.enough {
		return
	}
	st.enough = true
	if st.sent {
		st.stop()
	}
}
