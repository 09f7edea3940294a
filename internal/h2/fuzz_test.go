package h2

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// A dice makes choices from the fuzzer's bytes. When they are used up, all choices are 0.
type dice struct{ p []byte }

func (d *dice) left() bool { return len(d.p) > 0 }

func (d *dice) roll(n int) int {
	if len(d.p) == 0 {
		return 0
	}
	b := int(d.p[0])
	d.p = d.p[1:]
	if n > 256 && len(d.p) > 0 {
		b = b<<8 | int(d.p[0])
		d.p = d.p[1:]
	}
	return b % n
}

// A frameMaker makes frames as the dice fall: most of them right in themselves, in whatever order.
type frameMaker struct {
	*dice
	enc  *hpack.Encoder
	ebuf bytes.Buffer
	next uint32
}

func newFrameMaker(d *dice) *frameMaker {
	m := &frameMaker{dice: d, next: 1}
	m.enc = hpack.NewEncoder(&m.ebuf)
	return m
}

// stream chooses a number: mostly one that was used.
func (m *frameMaker) stream() uint32 {
	switch m.roll(8) {
	case 0:
		return 0
	case 1:
		return uint32(m.roll(24))
	case 2:
		return m.next
	default:
		back := uint32(m.roll(4))*2 + 2
		if back > m.next {
			return 1
		}
		return m.next - back
	}
}

var fuzzFields = [][]string{
	get(), post(), post("content-length", "10"), get("x", "some value", "cookie", "a=b", "cookie", "c=d"), get("priority", "u=1"),
	{":method", "CONNECT", ":authority", "a:1"}, {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/"},
	{"x-trailer", "1"}, {}, get("X", "1"), get("x", strings.Repeat("long", 300)), get("host", "b"), {":status", "200"}, get("te", "trailers"),
}

// frame returns one frame.
func (m *frameMaker) frame() (kind, flags byte, id uint32, payload []byte) {
	switch m.roll(16) {
	case 0, 1, 2, 3:
		id = m.next
		if m.roll(8) == 0 {
			id = m.stream()
		} else {
			m.next += 2
		}
		return frameHeaders, byte(m.roll(8))&(flagEndStream|flagEndHeaders) | flagEndHeaders*byte(m.roll(2)), id, m.section()
	case 4, 5:
		return frameData, byte(m.roll(2)), m.stream(), zeros[:m.roll(2000)]
	case 6:
		pad := m.roll(256)
		return frameData, flagPadded | byte(m.roll(2)), m.stream(), append([]byte{byte(pad)}, zeros[:m.roll(300)]...)
	case 7:
		return frameWindowUpdate, 0, m.stream(), appendSetting(nil, 0, uint32(m.roll(1<<16)))[2:]
	case 8:
		return frameReset, 0, m.stream(), []byte{0, 0, 0, 8}
	case 9:
		ids := []uint16{settingHeaderTableSize, settingInitialWindowSize, settingMaxFrameSize, settingEnablePush, 0xfafa}
		values := []uint32{0, 1, 100, 4096, 16384, 65535, 1 << 20, maxWindow, 1 << 31}
		return frameSettings, 0, 0, appendSetting(nil, ids[m.roll(len(ids))], values[m.roll(len(values))])
	case 10:
		return framePing, byte(m.roll(2)), 0, zeros[:8]
	case 11:
		return framePriority, 0, m.stream(), priority(m.stream())
	case 12:
		return frameContinuation, byte(m.roll(8)) & flagEndHeaders, m.stream(), m.section()
	case 13:
		return framePriorityUpdate, 0, 0, append(priority(m.stream())[:4], "u=2"...)
	case 14:
		return byte(m.roll(256)), byte(m.roll(256)), m.stream(), zeros[:m.roll(40)]
	default: // bytes as they come
		n := min(m.roll(64), len(m.p))
		payload, m.p = m.p[:n], m.p[n:]
		return byte(m.roll(17)), byte(m.roll(256)), m.stream(), payload
	}
}

func (m *frameMaker) section() []byte {
	m.ebuf.Reset()
	pairs := fuzzFields[m.roll(len(fuzzFields))]
	for i := 0; i < len(pairs); i += 2 {
		m.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(m.ebuf.Bytes())
}

// An order sees to it that events come in the order that Handler promises.
type order struct {
	t     testing.TB
	state map[*Stream]string
}

func (o *order) event(st *Stream, what string, after ...string) {
	got := o.state[st]
	for _, a := range after {
		if got == a {
			o.state[st] = what
			return
		}
	}
	o.t.Fatalf("%s of stream %d comes after %q", what, st.ID(), got)
}

// FuzzFrames lets a client and a handler do anything. The session must not panic, keep its invariants, put out what x/net can read
// and the client's windows allow, and call the handler in order.
func FuzzFrames(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 4<<10 {
			return
		}
		d := &dice{p}
		configs := []*Config{nil, {MaxStreams: 3, MaxHeaderBytes: 400, StreamWindow: 1000, SendBuffer: 5000, MaxOutput: 3000, ConnSendBuffer: 9000}}
		c := newChaos(t, d, configs[d.roll(2)])
		for d.left() && c.p.err == nil && !c.p.s.lost {
			c.step()
			checkInvariants(t, c.p.s)
		}
		c.p.drain()
		checkInvariants(t, c.p.s)
		if c.p.err != nil && !c.p.s.Done() {
			t.Fatal("a session that failed is not done")
		}
	})
}

// chaos is a peer that does what the dice say.
type chaos struct {
	d     *dice
	m     *frameMaker
	p     *peer
	order order
	open  []*Stream // that the handler has not released
}

func newChaos(t *testing.T, d *dice, config *Config) *chaos {
	c := &chaos{d: d, m: newFrameMaker(d), order: order{t, map[*Stream]string{}}}
	c.p = newPeer(t, config)
	c.p.s.h = c
	c.p.hello()
	c.p.flush()
	return c
}

func (c *chaos) step() {
	switch c.d.roll(4) {
	case 0:
		c.handle()
	case 1:
		if c.d.roll(2) == 0 {
			c.p.drain()
		}
		c.call()
	default:
		c.send()
	}
}

// send has the client send a frame. What it does to the windows is counted.
func (c *chaos) send() {
	kind, flags, id, payload := c.m.frame()
	p := c.p
	switch {
	case kind == frameSettings && flags&flagAck == 0 && id == 0 && len(payload)%settingLen == 0:
		p.drain() // before a window shrinks
		first := p.initial
		for s := payload; len(s) > 0; s = s[settingLen:] {
			if s[0] == 0 && s[1] == settingInitialWindowSize {
				p.initial = int64(parseHead(append(zeros[:5:5], s[2:6]...)).id)
			}
		}
		for id := range p.windows {
			p.windows[id] += p.initial - first
		}
	case kind == frameWindowUpdate && len(payload) == 4:
		n := int64(parseHead(append(zeros[:5:5], payload...)).id)
		if id == 0 {
			p.window += n
		} else if c.p.s.streams[id] != nil {
			if _, ok := p.windows[id]; !ok {
				p.windows[id] = p.initial
			}
			p.windows[id] += n
		}
	case kind == frameData && id != 0:
		p.recv -= int64(len(payload))
	}
	p.in.Write(appendHead(nil, len(payload), kind, flags, id))
	p.in.Write(payload)
	p.feed()
}

// handle has the handler do something with a stream.
func (c *chaos) handle() {
	if len(c.open) == 0 {
		return
	}
	at := c.d.roll(len(c.open))
	st := c.open[at]
	switch c.d.roll(10) {
	case 0:
		st.Respond(200, message.Fields{{Name: "content-type", Value: "text/plain"}, {Name: "x", Value: fmt.Sprint(c.d.roll(3))}}, c.d.roll(4) == 0)
	case 1, 2:
		st.Write(zeros[:c.d.roll(maxFrame)])
	case 3:
		st.Close(nil)
	case 4:
		st.Close(message.Fields{{Name: "x-sum", Value: "1"}})
	case 5:
		st.Reset(Cancel)
		c.order.state[st] = "reset"
	case 6:
		st.Consume(c.d.roll(3000))
	case 7:
		st.Discard()
		c.order.state[st] += " discarded"
	case 8:
		st.Inform(103, nil)
	case 9:
		c.open = append(c.open[:at], c.open[at+1:]...)
		delete(c.order.state, st)
		st.Release()
	}
}

func (c *chaos) call() {
	s := c.p.s
	switch c.d.roll(12) {
	case 0:
		s.Ping()
	case 1:
		s.GoAway()
	case 2:
		s.FinishGoAway()
	case 3:
		s.Rest()
	case 4:
		s.Credit(c.d.roll(100))
	case 5:
		if c.d.roll(8) == 0 {
			s.Lost()
		}
	case 6:
		s.Origin(appendHead(nil, 0, 0xc, 0, 0))
	default:
		c.p.drain()
	}
}

func (c *chaos) Request(st *Stream, r *message.Request) {
	if _, ok := c.order.state[st]; ok {
		c.order.t.Fatal("a stream is used again that was not released")
	}
	if st.ID()&1 == 0 || r.Method == "" || r.Major != 2 {
		c.order.t.Fatalf("request %+v on stream %d", r, st.ID())
	}
	c.order.state[st] = "request"
	c.open = append(c.open, st)
	if c.d.roll(4) == 0 {
		c.handle()
	}
}

func (c *chaos) TooLarge(st *Stream) { st.Respond(431, nil, true); st.Release() }

func (c *chaos) Malformed(*message.Request, string) {}

func (c *chaos) Data(st *Stream, p []byte) {
	c.order.event(st, "data", "request", "data")
	if c.d.roll(4) == 0 {
		c.handle()
	}
}

func (c *chaos) End(st *Stream, _ message.Fields) { c.order.event(st, "end", "request", "data") }
func (c *chaos) Reset(st *Stream) {
	if state, ok := c.order.state[st]; !ok || state == "reset" {
		c.order.t.Fatalf("reset of stream %d after %q", st.ID(), state)
	}
	c.order.state[st] = "reset"
}
func (c *chaos) Writable(st *Stream) {
	if state, ok := c.order.state[st]; !ok || state == "reset" || !st.Open() {
		c.order.t.Fatalf("writable stream %d after %q", st.ID(), state)
	}
	if c.d.roll(2) == 0 {
		st.Write(zeros[:c.d.roll(maxFrame)])
	}
}
func (c *chaos) Pong() {}

// A listener writes down what it hears, content as one however it comes, and answers in place.
type listener struct {
	log  strings.Builder
	data *Stream
}

func (l *listener) event(format string, args ...any) {
	if l.data != nil {
		l.log.WriteByte('\n')
		l.data = nil
	}
	fmt.Fprintf(&l.log, format+"\n", args...)
}

func (l *listener) Request(st *Stream, r *message.Request) {
	l.event("request %d %+v", st.ID(), *r)
	if r.Length == 0 {
		l.answer(st)
	}
}

func (l *listener) answer(st *Stream) {
	st.Respond(200, message.Fields{{Name: "content-type", Value: "text/plain"}}, false)
	st.Write(zeros[:5000])
	st.Close(nil)
}

func (l *listener) TooLarge(st *Stream) {
	l.event("too large %d", st.ID())
	st.Respond(431, nil, true)
}

func (l *listener) Malformed(_ *message.Request, reason string) { l.event("malformed: %s", reason) }

func (l *listener) Data(st *Stream, p []byte) {
	if l.data != st {
		l.event("data %d", st.ID())
		l.data = st
	}
	fmt.Fprintf(&l.log, "%x", p)
	st.Consume(len(p))
}

func (l *listener) End(st *Stream, trailers message.Fields) {
	l.event("end %d %v", st.ID(), trailers)
	l.answer(st)
}
func (l *listener) Reset(st *Stream)    { l.event("reset %d", st.ID()) }
func (l *listener) Writable(st *Stream) { l.event("writable %d", st.ID()) }
func (l *listener) Pong()               { l.event("pong") }

// hear plays a wire in pieces, and returns the events and the output but for WINDOW_UPDATEs, which may be lumped otherwise.
func hear(t *testing.T, wire []byte, piece func() int) (events, output string) {
	l := &listener{}
	s := NewSession(nil, l, nil)
	var err error
	for len(wire) > 0 && err == nil {
		n := min(max(1, piece()), len(wire))
		err = s.Feed(wire[:n])
		wire = wire[n:]
		checkInvariants(t, s)
	}
	l.event("error %v", err)
	var all bytes.Buffer
	for p := s.Output(nil); len(p) > 0; p = s.Output(nil) {
		all.Write(p)
	}
	r := http2.NewFramer(nil, &all)
	var out strings.Builder
	for {
		f, err := r.ReadFrame()
		if err == io.EOF {
			return l.log.String(), out.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if f.Header().Type == http2.FrameWindowUpdate {
			continue
		}
		fmt.Fprintf(&out, "%v\n", f.Header())
	}
}

// FuzzSplits feeds the same bytes in one piece and in pieces of any length: events and output are the same.
func FuzzSplits(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed, uint8(1))
		f.Add(seed, uint8(30))
	}
	f.Fuzz(func(t *testing.T, p []byte, longest uint8) {
		if len(p) > 2<<10 {
			return
		}
		m := newFrameMaker(&dice{p})
		var wire bytes.Buffer
		wire.WriteString(clientPreface)
		wire.Write(appendHead(nil, 0, frameSettings, 0, 0))
		for m.left() && wire.Len() < 50<<10 {
			kind, flags, id, payload := m.frame()
			wire.Write(appendHead(nil, len(payload), kind, flags, id))
			wire.Write(payload)
		}
		events, output := hear(t, wire.Bytes(), func() int { return wire.Len() })
		cut := &dice{p}
		events2, output2 := hear(t, wire.Bytes(), func() int { return cut.roll(int(longest) + 1) })
		if events != events2 {
			t.Errorf("in one piece:\n%s\nin pieces:\n%s", events, events2)
		}
		if output != output2 {
			t.Errorf("output, in one piece:\n%s\nin pieces:\n%s", output, output2)
		}
	})
}

// seeds are choices that make long conversations.
func seeds() (all [][]byte) {
	for i := range 8 {
		x := uint32(i*7919 + 1)
		seed := make([]byte, 1500)
		for j := range seed {
			x = x*1664525 + 1013904223
			seed[j] = byte(x >> 24)
		}
		all = append(all, seed)
	}
	return all
}

// TestSeeds keeps the folder of seeds from being forgotten: there are some for each target.
func TestSeeds(t *testing.T) {
	for _, target := range []string{"FuzzFrames", "FuzzSplits"} {
		if files, err := os.ReadDir(filepath.Join("testdata", "fuzz", target)); err != nil || len(files) == 0 {
			t.Errorf("%s: %d seeds, %v", target, len(files), err)
		}
	}
}
