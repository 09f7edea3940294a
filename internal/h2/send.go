package h2

// Write sends content. It takes what there is room for, and returns how much that is: straight into the output where no other
// stream waits and the windows allow, the rest into a buffer, up to Config.SendBuffer. Where it takes less than it was given,
// Handler.Writable says when to go on. A stream that is not Open takes nothing; neither does one that was not responded to.
func (st *Stream) Write(p []byte) int {
	if !st.Open() || !st.responded || len(p) == 0 {
		return 0
	}
	s := st.s
	n := 0
	if st.kept.empty() && s.schedule.empty() {
		n = st.direct(p)
	}
	if n == len(p) {
		return n
	}
	n += st.keep(p[n:])
	s.schedule.ready(st)
	if st.want = len(p) - n; st.want > 0 {
		s.schedule.block(st)
	}
	return n
}

// direct puts content into the output.
func (st *Stream) direct(p []byte) (n int) {
	s := st.s
	if most := int(min(int64(len(p)), int64(s.c.MaxOutput), st.sendWindow, s.sendWindow)); most > 0 {
		s.room(most + (most/maxFrame+2)*headLen)
	}
	for n < len(p) && len(s.out) < s.c.MaxOutput {
		room := min(int64(len(p)-n), st.sendWindow, s.sendWindow)
		if room <= 0 {
			break
		}
		k := st.lengthen(int(room))
		if k == 0 {
			k = min(int(room), maxFrame)
			st.beginFrame(k)
		}
		s.out = append(s.out, p[n:n+k]...)
		st.spent(k)
		n += k
	}
	return n
}

// lengthen makes room for up to n bytes more in the DATA frame that the output ends with, if that is the stream's. 0: there is none.
func (st *Stream) lengthen(n int) int {
	s := st.s
	if st.batch != s.batch || s.out[st.at+3] != frameData {
		return 0
	}
	length := len(s.out) - st.at - headLen
	if h := parseHead(s.out[st.at:]); h.length != length {
		return 0 // other frames have followed
	}
	n = min(n, maxFrame-length)
	if n > 0 {
		putLength(s.out[st.at:], length+n)
	}
	return n
}

// beginFrame puts out the header of a DATA frame.
func (st *Stream) beginFrame(length int) {
	s := st.s
	st.mark(len(s.out))
	s.out = appendHead(s.out, length, frameData, 0, st.id)
}

// spent takes n bytes from both windows.
func (st *Stream) spent(n int) {
	st.out += int64(n)
	st.sendWindow -= int64(n)
	st.s.sendWindow -= int64(n)
	if n >= usefulFrame || st.sendWindow > 0 && st.s.sendWindow > 0 {
		st.s.budget.earn(earnedFrame)
	}
}

// reserve is what every stream may keep, however much the others do: a client that stops reading some streams does not stop the rest.
const reserve = 4 << 10

// room returns how much may be kept now.
func (st *Stream) room() int {
	s := st.s
	most := s.c.ConnSendBuffer
	if s.schedule.account.Exceeded() {
		most = min(most, fewer)
	}
	free := st.kept.free() + max(0, most-s.schedule.held)
	n := min(s.c.SendBuffer-st.kept.len(), free)
	return max(n, min(reserve, s.c.SendBuffer)-st.kept.len())
}

func (st *Stream) keep(p []byte) int {
	n := min(len(p), st.room())
	if n <= 0 {
		return 0
	}
	st.s.schedule.keep(st.kept.write(p[:n]))
	return n
}

// writable reports whether a blocked stream has room enough to be worth a call.
func (st *Stream) writable() bool {
	return st.kept.empty() || st.room() >= min(st.want, st.s.c.SendBuffer/4)
}
