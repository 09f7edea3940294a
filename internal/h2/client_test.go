package h2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// A peer is a client and a handler in one: it feeds a session with frames that x/net's Framer writes, and reads what comes out with
// x/net's Framer, so that every test also checks that the output is HTTP/2 and keeps the windows.
type peer struct {
	t    testing.TB
	s    *Session
	in   bytes.Buffer // what the client has written and the session was not fed yet
	w    *http2.Framer
	wire bytes.Buffer // what the session has put out
	r    *http2.Framer
	henc *hpack.Encoder
	hbuf bytes.Buffer

	events    []string // what the handler heard
	malformed []string // and of malformed requests
	streams   map[uint32]*Stream
	frames    []string // what the client read
	bodies    map[uint32]*bytes.Buffer
	spare     []byte
	err       error // of Feed

	onRequest  func(st *Stream, r *message.Request)
	onData     func(st *Stream, p []byte) // nil: consume
	onEnd      func(st *Stream)
	onWritable func(st *Stream)
	onReset    func(st *Stream)

	window    int64 // what the session may still send on the connection
	initial   int64
	windows   map[uint32]int64
	recv      int64 // what the client may still send
	recvs     map[uint32]int64
	recvFirst int64
	finished  map[uint32]bool // END_STREAM or RST_STREAM was read
}

// newPeer begins a connection, without a word yet.
func newPeer(t testing.TB, c *Config) *peer {
	p := &peer{t: t, streams: map[uint32]*Stream{}, bodies: map[uint32]*bytes.Buffer{},
		window: defaultWindow, initial: defaultWindow, windows: map[uint32]int64{},
		recv: defaultWindow, recvs: map[uint32]int64{}, recvFirst: defaultWindow, finished: map[uint32]bool{}}
	p.s = NewSession(c, p, nil)
	p.w = http2.NewFramer(&p.in, nil)
	p.w.AllowIllegalWrites = true
	p.r = http2.NewFramer(io.Discard, &p.wire)
	p.r.SetMaxReadFrameSize(maxFrame)
	p.r.ReadMetaHeaders = hpack.NewDecoder(maxTable, nil)
	p.henc = hpack.NewEncoder(&p.hbuf)
	return p
}

// connected begins a connection and greets.
func connected(t testing.TB, c *Config) *peer {
	p := newPeer(t, c)
	p.hello()
	p.flush()
	p.w.WriteSettingsAck()
	p.flush()
	p.events, p.frames = nil, nil
	return p
}

func (p *peer) hello(settings ...http2.Setting) {
	p.in.WriteString(clientPreface)
	p.settings(settings...)
}

func (p *peer) settings(settings ...http2.Setting) {
	p.w.WriteSettings(settings...)
	for _, s := range settings {
		if s.ID == http2.SettingInitialWindowSize {
			for id := range p.windows {
				p.windows[id] += int64(s.Val) - p.initial
			}
			p.initial = int64(s.Val)
		}
	}
}

// feed hands what was written to the session.
func (p *peer) feed() error {
	err := p.s.Feed(p.in.Bytes())
	p.in.Reset()
	if err != nil {
		p.err = err
	}
	return err
}

// flush feeds, and reads all that comes out.
func (p *peer) flush() error {
	err := p.feed()
	p.drain()
	return err
}

func (p *peer) drain() {
	for {
		out := p.s.Output(p.spare)
		if len(out) == 0 {
			if p.s.Pending() {
				p.t.Fatal("Output is empty, and Pending says that there is more")
			}
			return
		}
		p.wire.Write(out)
		p.spare = out
		p.read()
	}
}

// read takes whole frames from the wire.
func (p *peer) read() {
	for p.wire.Len() > 0 {
		f, err := p.r.ReadFrame()
		if err != nil {
			p.t.Fatalf("x/net does not read what was put out: %v (%v)", err, p.r.ErrorDetail())
		}
		p.frames = append(p.frames, p.describe(f))
	}
}

func (p *peer) describe(f http2.Frame) string {
	id := f.Header().StreamID
	p.mayCarry(f)
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		var b strings.Builder
		fmt.Fprintf(&b, "HEADERS %d", id)
		for _, hf := range f.Fields {
			fmt.Fprintf(&b, " %s=%s", hf.Name, hf.Value)
		}
		if f.StreamEnded() {
			b.WriteString(" END")
			p.finished[id] = true
		}
		return b.String()
	case *http2.DataFrame:
		p.take(id, int64(f.Length))
		if p.bodies[id] == nil {
			p.bodies[id] = &bytes.Buffer{}
		}
		p.bodies[id].Write(f.Data())
		end := ""
		if f.StreamEnded() {
			end = " END"
			p.finished[id] = true
		}
		return fmt.Sprintf("DATA %d %d%s", id, len(f.Data()), end)
	case *http2.RSTStreamFrame:
		p.finished[id] = true
		return fmt.Sprintf("RST_STREAM %d %v", id, f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
	case *http2.PingFrame:
		return fmt.Sprintf("PING ack=%v %q", f.IsAck(), f.Data[:])
	case *http2.SettingsFrame:
		return p.describeSettings(f)
	case *http2.WindowUpdateFrame:
		return p.grow(id, f.Increment)
	case *http2.UnknownFrame:
		return fmt.Sprintf("UNKNOWN 0x%x %d %q", uint8(f.Type), id, f.Payload())
	}
	p.t.Fatalf("a server does not send %v", f)
	return ""
}

// mayCarry checks that nothing but RST_STREAM comes behind the end of an answer: "An endpoint MUST NOT send frames other than PRIORITY on a closed
// stream" (RFC 9113 section 5.1).
func (p *peer) mayCarry(f http2.Frame) {
	id := f.Header().StreamID
	if id == 0 || !p.finished[id] {
		return
	}
	switch f.(type) {
	case *http2.RSTStreamFrame, *http2.WindowUpdateFrame:
	default:
		p.t.Fatalf("%v behind the end of the answer", f)
	}
}

func (p *peer) describeSettings(f *http2.SettingsFrame) string {
	if f.IsAck() {
		return "SETTINGS ack"
	}
	if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
		for id := range p.recvs {
			p.recvs[id] += int64(v) - p.recvFirst
		}
		p.recvFirst = int64(v)
	}
	return "SETTINGS"
}

// take counts content that came, and fails where it is more than the client allowed.
func (p *peer) take(id uint32, n int64) {
	if _, ok := p.windows[id]; !ok {
		p.windows[id] = p.initial
	}
	p.window -= n
	p.windows[id] -= n
	if n > 0 && (p.window < 0 || p.windows[id] < 0) {
		p.t.Fatalf("the windows are exceeded: connection %d, stream %d: %d", p.window, id, p.windows[id])
	}
}

// grow counts a WINDOW_UPDATE of the session's.
func (p *peer) grow(id, n uint32) string {
	if id == 0 {
		if p.recv += int64(n); p.recv > maxWindow {
			p.t.Fatalf("the connection's window overflows: %d", p.recv)
		}
	} else {
		if _, ok := p.recvs[id]; !ok {
			p.recvs[id] = p.recvFirst
		}
		if p.recvs[id] += int64(n); p.recvs[id] > maxWindow {
			p.t.Fatalf("the window of stream %d overflows: %d", id, p.recvs[id])
		}
	}
	return fmt.Sprintf("WINDOW_UPDATE %d %d", id, n)
}

// windowUpdate opens a window of the client's.
func (p *peer) windowUpdate(id, n uint32) {
	p.w.WriteWindowUpdate(id, n)
	if id == 0 {
		p.window += int64(n)
		return
	}
	if _, ok := p.windows[id]; !ok {
		p.windows[id] = p.initial
	}
	p.windows[id] += int64(n)
}

// encode makes a field block of names and values in turn.
func (p *peer) encode(pairs ...string) []byte {
	p.hbuf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		p.henc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(p.hbuf.Bytes())
}

// headers writes a whole header section.
func (p *peer) headers(id uint32, end bool, pairs ...string) {
	block := p.encode(pairs...)
	n := min(len(block), maxFrame)
	p.w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: n == len(block), BlockFragment: block[:n]})
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), maxFrame)
		p.w.WriteContinuation(id, n == len(block), block[:n])
	}
}

// get are the pseudo-fields of a plain GET.
func get(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"}, more...)
}

func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "https", ":authority", "a.example", ":path", "/"}, more...)
}

func (p *peer) event(format string, args ...any) {
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

func (p *peer) Request(st *Stream, r *message.Request) {
	p.streams[st.ID()] = st
	p.event("request %d %s %s %s %s length=%d", st.ID(), r.Method, r.Scheme, r.Authority, r.Target, r.Length)
	if p.onRequest != nil {
		p.onRequest(st, r)
	}
}

func (p *peer) TooLarge(st *Stream) {
	p.streams[st.ID()] = st
	p.event("too large %d", st.ID())
	st.Respond(431, nil, true)
}

func (p *peer) Malformed(r *message.Request, reason string) {
	p.malformed = append(p.malformed, fmt.Sprintf("%s %s: %s", r.Method, r.Target, reason))
}

func (p *peer) Data(st *Stream, b []byte) {
	if len(b) == 0 {
		p.t.Fatal("Data without data")
	}
	p.event("data %d %d", st.ID(), len(b))
	if p.onData != nil {
		p.onData(st, b)
		return
	}
	st.Consume(len(b))
}

func (p *peer) End(st *Stream, trailers message.Fields) {
	p.event("end %d %v", st.ID(), trailers)
	if p.onEnd != nil {
		p.onEnd(st)
	}
}

func (p *peer) Reset(st *Stream) {
	p.event("reset %d", st.ID())
	if p.onReset != nil {
		p.onReset(st)
	}
}

func (p *peer) Writable(st *Stream) {
	p.event("writable %d", st.ID())
	if p.onWritable != nil {
		p.onWritable(st)
	}
}

func (p *peer) Pong() { p.event("pong") }

// code returns the code of the error that Feed has returned; -1: none.
func (p *peer) code() int {
	var ce *ConnError
	if errors.As(p.err, &ce) {
		return int(ce.Code)
	}
	return -1
}

func (p *peer) wantFrames(want ...string) {
	p.t.Helper()
	if got, want := strings.Join(p.frames, "\n"), strings.Join(want, "\n"); got != want {
		p.t.Errorf("the client read\n%s\nwant\n%s", got, want)
	}
	p.frames = nil
}

func (p *peer) wantEvents(want ...string) {
	p.t.Helper()
	if got, want := strings.Join(p.events, "\n"), strings.Join(want, "\n"); got != want {
		p.t.Errorf("the handler heard\n%s\nwant\n%s", got, want)
	}
	p.events = nil
}
