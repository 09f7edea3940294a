package h2

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

// begin answers with a header section and leaves the rest to the test.
func begin(st *Stream, _ *message.Request) { st.Respond(200, nil, false) }

func initialWindow(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

// "A receiver MUST ... the sender MUST NOT send a flow-controlled frame with a length that exceeds the space available in either of the
// flow-control windows advertised by the receiver." (RFC 9113 section 6.9.1)
func TestSendWindows(t *testing.T) {
	p := connected(t, nil)
	p.settings(initialWindow(10))
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.flush()
	p.frames = nil
	st := p.streams[1]
	if n := st.Write(zeros[:25]); n != 25 {
		t.Fatalf("Write took %d", n)
	}
	st.Close(nil)
	p.drain()
	p.wantFrames("DATA 1 10")
	p.windowUpdate(1, 1)
	p.flush()
	p.wantFrames("DATA 1 1")
	// "a change to SETTINGS_INITIAL_WINDOW_SIZE can cause the available space in a flow-control window to become negative. A sender MUST
	// track the negative flow-control window and MUST NOT send new flow-controlled frames until it receives WINDOW_UPDATE frames that cause
	// the flow-control window to become positive." (section 6.9.2)
	p.settings(initialWindow(3))
	p.windowUpdate(1, 7)
	p.flush()
	p.wantFrames("SETTINGS ack")
	p.settings(initialWindow(5))
	p.flush()
	p.wantFrames("SETTINGS ack", "DATA 1 2")
	p.windowUpdate(1, 100)
	p.flush()
	p.wantFrames("DATA 1 12 END")
}

func TestConnectionWindow(t *testing.T) {
	p := connected(t, nil)
	p.settings(initialWindow(maxWindow))
	p.onRequest = func(st *Stream, r *message.Request) { begin(st, r); st.Write(make([]byte, 40000)); st.Close(nil) }
	p.headers(1, true, get()...)
	p.headers(3, true, get()...)
	p.headers(5, true, "X", "malformed")
	p.flush()
	if got := p.bodies[1].Len() + p.bodies[3].Len(); got != defaultWindow {
		t.Errorf("%d bytes came through the window", got)
	}
	p.windowUpdate(0, 80000)
	p.flush()
	if p.bodies[1].Len() != 40000 || p.bodies[3].Len() != 40000 || p.s.Streams() != 0 {
		t.Errorf("%d and %d bytes came", p.bodies[1].Len(), p.bodies[3].Len())
	}
	// An empty end needs no window: "Frames with zero length with the END_STREAM flag set (that is, an empty DATA frame) MAY be sent if
	// there is no available space in either flow-control window."
	q := connected(t, nil)
	q.settings(initialWindow(5))
	q.onRequest = begin
	q.headers(1, true, get()...)
	q.flush()
	q.streams[1].Write(zeros[:5])
	q.drain()
	q.frames = nil
	q.streams[1].Close(nil)
	q.drain()
	q.wantFrames("DATA 1 0 END")
}

func TestWritable(t *testing.T) {
	p := connected(t, &Config{SendBuffer: 10000})
	p.settings(initialWindow(0))
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.flush()
	st := p.streams[1]
	p.events = nil
	if n := st.Write(make([]byte, 30000)); n != 10000 {
		t.Fatalf("Write took %d", n)
	}
	if n := st.Write(zeros[:1]); n != 0 {
		t.Fatalf("Write took %d into a full buffer", n)
	}
	rest := 20000
	p.onWritable = func(st *Stream) {
		rest -= st.Write(make([]byte, rest))
		if rest == 0 {
			st.Close(message.Fields{{Name: "x-sum", Value: "1"}})
		}
	}
	p.drain()
	p.wantEvents()
	p.windowUpdate(1, 100)
	p.flush()
	p.wantEvents("writable 1")
	for range 3 {
		p.windowUpdate(1, 9990)
		p.flush()
	}
	if rest != 0 || p.bodies[1].Len() != 30000 || p.s.Streams() != 0 {
		t.Errorf("%d bytes are left, %d came", rest, p.bodies[1].Len())
	}
	if last := p.frames[len(p.frames)-1]; last != "HEADERS 1 x-sum=1 END" {
		t.Errorf("the last frame is %s", last)
	}
}

// A stream whose answer is complete hears no more of room.
func TestNotWritableBehindTheEnd(t *testing.T) {
	p := connected(t, &Config{SendBuffer: 10000})
	p.settings(initialWindow(0))
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.flush()
	p.events = nil
	p.streams[1].Write(make([]byte, 30000))
	p.streams[1].Close(nil)
	p.windowUpdate(1, 9000)
	p.flush()
	p.windowUpdate(1, 20000)
	p.flush()
	p.wantEvents()
	if p.bodies[1].Len() != 10000 || p.s.Streams() != 0 {
		t.Errorf("%d bytes came", p.bodies[1].Len())
	}
}

// Streams that a client does not read hold the whole buffer of the connection; others still get on.
func TestReserve(t *testing.T) {
	c := &Config{ConnSendBuffer: 64 << 10, SendBuffer: 64 << 10}
	p := connected(t, c)
	p.settings(initialWindow(0))
	p.onRequest = func(st *Stream, r *message.Request) { begin(st, r); st.Write(make([]byte, 1<<20)) }
	for id := uint32(1); id < 100; id += 2 {
		p.headers(id, true, get()...)
	}
	p.flush()
	checkInvariants(t, p.s)
	if held, limit := p.s.schedule.held, 64<<10+50*reserve+maxFrame; held > limit {
		t.Errorf("%d bytes are held", held)
	}
	p.windowUpdate(99, 100000)
	got := 0
	p.onWritable = func(st *Stream) {
		if st.ID() == 99 {
			got++
			st.Write(make([]byte, 50000))
		}
	}
	p.flush()
	if got == 0 || p.bodies[99].Len() < 50000 {
		t.Errorf("the one that is read got %d bytes in %d calls", p.bodies[99].Len(), got)
	}
}

func TestConsume(t *testing.T) {
	p := connected(t, &Config{StreamWindow: 1000, ConnWindow: 100000})
	p.onData = func(*Stream, []byte) {}
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros[:900])
	p.flush()
	p.wantFrames()
	st := p.streams[1]
	st.Consume(499)
	p.drain()
	p.wantFrames() // not half a window yet
	st.Consume(1)
	p.drain()
	p.wantFrames("WINDOW_UPDATE 1 500")
	st.Consume(10000) // more than came is not given back
	p.w.WriteData(1, false, zeros[:100])
	p.flush()
	p.wantFrames()
	st.Consume(100)
	p.drain()
	p.wantFrames("WINDOW_UPDATE 1 500")
	checkInvariants(t, p.s)
	// The padding is used up at once: "The entire DATA frame payload is included in flow control, including the Pad Length and Padding
	// fields if present." (section 6.1)
	p.w.WriteDataPadded(1, false, zeros[:10], zeros[:255])
	p.w.WriteDataPadded(1, false, zeros[:10], zeros[:255])
	p.flush()
	p.wantFrames("WINDOW_UPDATE 1 512")
}

func TestReceiveWindowsExceeded(t *testing.T) {
	p := connected(t, &Config{StreamWindow: 1000, ConnWindow: 70000})
	p.onData = func(*Stream, []byte) {}
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros[:1000])
	p.w.WriteData(1, false, zeros[:1])
	p.flush()
	// "A receiver MAY respond with a stream error or connection error of type FLOW_CONTROL_ERROR if it is unable to accept a frame."
	p.wantFrames("RST_STREAM 1 FLOW_CONTROL_ERROR")
	p.wantEvents("request 1 POST https a.example / length=-1", "data 1 1000", "reset 1")
	checkInvariants(t, p.s)

	p = connected(t, &Config{StreamWindow: 1 << 20, ConnWindow: 70000})
	p.onData = func(*Stream, []byte) {}
	p.headers(1, false, post()...)
	for range 4 {
		p.w.WriteData(1, false, zeros)
	}
	p.w.WriteData(1, false, zeros[:70000-4*maxFrame])
	if p.flush() != nil {
		t.Fatal("the window is smaller than announced")
	}
	p.w.WriteData(1, false, zeros[:1])
	p.flush()
	p.wantFrames("GOAWAY 1 FLOW_CONTROL_ERROR")
	p.wantEvents("request 1 POST https a.example / length=-1", "data 1 16384", "data 1 16384", "data 1 16384", "data 1 16384", "data 1 4464", "reset 1")
}

// Until a client has acknowledged a smaller window, it may rely on the one that RFC 9113 grants unasked.
func TestWindowBeforeAcknowledgement(t *testing.T) {
	p := newPeer(t, &Config{StreamWindow: 1000})
	p.onData = func(*Stream, []byte) {}
	p.hello()
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros[:10000])
	p.flush()
	p.w.WriteSettingsAck()
	p.w.WriteData(1, false, zeros[:1])
	p.frames = nil
	p.flush()
	p.wantFrames("RST_STREAM 1 FLOW_CONTROL_ERROR")
}

func TestDiscard(t *testing.T) {
	const size = 16 << 10
	p := connected(t, nil)
	p.onData = func(*Stream, []byte) {}
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros[:size])
	p.flush()
	p.events, p.frames = nil, nil
	st := p.streams[1]
	st.Discard()
	for range 4 {
		p.w.WriteData(1, false, zeros[:size])
	}
	p.flush()
	st.Respond(413, nil, true)
	p.drain()
	p.wantFrames("HEADERS 1 :status=413 END") // 64 KiB are taken in
	p.w.WriteData(1, false, zeros[:1])
	p.flush()
	p.wantFrames("RST_STREAM 1 NO_ERROR")
	p.w.WriteData(1, true, zeros[:size])
	p.flush()
	p.wantFrames()
	p.wantEvents()
	checkInvariants(t, p.s)

	// "sending a RST_STREAM with an error code of NO_ERROR after sending a complete response": not before.
	q := connected(t, nil)
	q.headers(1, false, post()...)
	q.flush()
	q.streams[1].Discard()
	for range 5 {
		q.w.WriteData(1, false, zeros[:size])
	}
	q.flush()
	q.wantFrames()
	q.streams[1].Respond(413, nil, true)
	q.drain()
	q.wantFrames("HEADERS 1 :status=413 END", "RST_STREAM 1 NO_ERROR")

	// A request that ends within the limit is not reset.
	r := connected(t, nil)
	r.onRequest = func(st *Stream, _ *message.Request) { st.Respond(413, nil, true); st.Release() }
	r.headers(1, false, post()...)
	r.w.WriteData(1, true, zeros[:size])
	r.flush()
	r.wantFrames("HEADERS 1 :status=413 END")
	r.wantEvents("request 1 POST https a.example / length=-1")
	if r.s.Streams() != 0 {
		t.Error("the stream is open")
	}
}

// What a stream did not consume is given back to the connection when it closes.
func TestWindowOfClosedStreams(t *testing.T) {
	p := connected(t, &Config{ConnWindow: 70000})
	p.onData = func(*Stream, []byte) {}
	for id := uint32(1); id < 100; id += 2 {
		p.headers(id, false, post()...)
		p.w.WriteData(id, false, zeros[:10000])
		switch id % 3 {
		case 0:
			p.w.WriteRSTStream(id, http2.ErrCodeCancel)
		case 1:
			p.flush()
			p.streams[id].Reset(Cancel)
			p.w.WriteData(id, false, zeros[:100])
		default:
			p.w.WriteData(id, true, nil)
			p.flush()
			p.streams[id].Respond(200, nil, true)
		}
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		checkInvariants(t, p.s)
	}
}

// A handler may reset a stream in the middle of a frame: the rest of it is given back to the connection.
func TestResetWithinFrame(t *testing.T) {
	p := connected(t, nil)
	p.onData = func(st *Stream, _ []byte) { st.Reset(Cancel) }
	p.headers(1, false, post()...)
	p.w.WriteDataPadded(1, true, zeros[:1000], zeros[:100])
	wire := p.in.Next(p.in.Len() - 800)
	p.s.Feed(wire)
	checkInvariants(t, p.s)
	p.flush()
	checkInvariants(t, p.s)
	p.wantEvents("request 1 POST https a.example / length=-1", "data 1 300")
}

// Straight into the output goes what nobody waits before; a frame grows only while nothing has followed it.
func TestDirectWrites(t *testing.T) {
	p := connected(t, nil)
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.headers(3, true, get()...)
	p.flush()
	p.frames = nil
	a, b := p.streams[1], p.streams[3]
	for range 2 {
		a.Write([]byte("aaa"))
		a.Write([]byte("AA"))
		b.Write([]byte("bbbb"))
	}
	p.drain()
	p.wantFrames("DATA 1 5", "DATA 3 4", "DATA 1 5", "DATA 3 4")
	if got := p.bodies[1].String() + p.bodies[3].String(); got != "aaaAAaaaAAbbbbbbbb" {
		t.Errorf("content %q", got)
	}
	p.settings(initialWindow(maxWindow))
	p.windowUpdate(0, maxWindow-defaultWindow)
	p.flush()
	a.Write(make([]byte, 200<<10)) // more than two outputs
	p.turn()
	held := p.s.schedule.held
	b.Write([]byte("bbbb"))
	if held == 0 || p.s.schedule.held == held {
		t.Errorf("%d bytes are held, and %d after a Write that has to wait", held, p.s.schedule.held)
	}
}

// What waits is given up with the stream.
func TestResetDropsContent(t *testing.T) {
	p := connected(t, nil)
	p.settings(initialWindow(0))
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.flush()
	p.streams[1].Write(make([]byte, 100<<10))
	if p.s.schedule.held < 100<<10 {
		t.Errorf("%d bytes are held", p.s.schedule.held)
	}
	p.streams[1].Reset(Cancel)
	if p.s.schedule.held != 0 {
		t.Errorf("%d bytes are held", p.s.schedule.held)
	}
}

// Discard gives back what was not consumed, and from its limit on nothing more.
func TestDiscardWindow(t *testing.T) {
	p := connected(t, &Config{StreamWindow: 40000})
	p.onData = func(*Stream, []byte) {}
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros)
	p.w.WriteData(1, false, zeros)
	p.flush()
	p.streams[1].Discard()
	p.drain()
	p.wantFrames("WINDOW_UPDATE 1 32768")
	for range 4 {
		p.w.WriteData(1, false, zeros[:10000])
	}
	p.flush()
	p.wantFrames("WINDOW_UPDATE 1 20000", "WINDOW_UPDATE 1 20000")
	for range 4 {
		p.w.WriteData(1, false, zeros[:10000])
	}
	p.flush()
	p.wantFrames("WINDOW_UPDATE 1 20000") // 64 KiB came with the seventh
	checkInvariants(t, p.s)
}

// Content comes in the order in which it was written, however it went: straight, by the buffer, in turns, in small windows.
func TestContentOrder(t *testing.T) {
	p := connected(t, &Config{SendBuffer: 30000, MaxOutput: 5000})
	p.settings(initialWindow(7000))
	p.windowUpdate(0, 1<<30)
	const streams, size = 5, 100000
	written := map[uint32]int{}
	r := rand.New(rand.NewPCG(3, 4))
	pattern := func(id uint32, at int) byte { return byte(at*7 + at>>8 + int(id)) }
	write := func(st *Stream) {
		at := written[st.ID()]
		if at == size || !st.Open() {
			return
		}
		piece := make([]byte, min(size-at, 1+r.IntN(9000)))
		for i := range piece {
			piece[i] = pattern(st.ID(), at+i)
		}
		written[st.ID()] += st.Write(piece)
		if written[st.ID()] == size {
			st.Close(nil)
		}
	}
	p.onRequest = func(st *Stream, r *message.Request) { begin(st, r); write(st) }
	p.onWritable = write
	for i := range uint32(streams) {
		p.headers(2*i+1, true, get()...)
	}
	p.flush()
	for round := 0; p.s.Streams() > 0; round++ {
		if round > 10000 {
			t.Fatal("it does not come to an end")
		}
		id := uint32(2*r.IntN(streams) + 1)
		if p.finished[id] {
			continue
		}
		p.windowUpdate(id, uint32(1+r.IntN(8000)))
		p.feed()
		for range r.IntN(3) {
			write(p.streams[uint32(2*r.IntN(streams)+1)])
		}
		p.turn()
		checkInvariants(t, p.s)
	}
	p.drain()
	for i := range uint32(streams) {
		id := 2*i + 1
		body := p.bodies[id].Bytes()
		for at := range body {
			if body[at] != pattern(id, at) {
				t.Fatalf("stream %d: byte %d is wrong", id, at)
			}
		}
		if len(body) != size {
			t.Errorf("stream %d: %d bytes", id, len(body))
		}
	}
}
