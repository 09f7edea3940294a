package h2

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

// floods are what a client can send without end at little cost to itself. Each ends with ENHANCE_YOUR_CALM, after a number of rounds that a
// client which means well never reaches, and in the same number of bytes of memory as one round.
var floods = []struct {
	name        string
	round       func(p *peer, id uint32)
	least, most int // rounds until the end
}{
	{"PING", func(p *peer, _ uint32) { p.w.WritePing(false, [8]byte{}) }, 1000, 2100},
	{"PING ack", func(p *peer, _ uint32) { p.w.WritePing(true, [8]byte{}) }, 1000, 2100},
	{"SETTINGS", func(p *peer, _ uint32) { p.w.WriteSettings() }, 400, 600},
	{"full SETTINGS", func(p *peer, _ uint32) { p.w.WriteRawFrame(http2.FrameSettings, 0, 0, zeros[:2730*6]) }, 3, 5},
	{"PRIORITY", func(p *peer, id uint32) { p.w.WriteRawFrame(http2.FramePriority, 0, id, priority(0)) }, 5000, 11000},
	{"PRIORITY_UPDATE", func(p *peer, id uint32) {
		p.w.WriteRawFrame(framePriorityUpdate, 0, 0, append(priority(id)[:4], "u=1"...))
	}, 5000, 11000},
	{"WINDOW_UPDATE", func(p *peer, _ uint32) { p.w.WriteWindowUpdate(0, 1) }, 5000, 11000},
	{"unknown frames", func(p *peer, _ uint32) { p.w.WriteRawFrame(0xfa, 0, 0, nil) }, 5000, 11000},
	{"GOAWAY", func(p *peer, _ uint32) { p.w.WriteGoAway(0, 0, nil) }, 400, 600},
	{"rapid reset", func(p *peer, id uint32) {
		p.headers(id, true, get()...)
		p.w.WriteRSTStream(id, http2.ErrCodeCancel)
	}, 100, 250},
	{"reset by malformed requests", func(p *peer, id uint32) { p.headers(id, true, "X", "1") }, 100, 250},
	{"reset by window", func(p *peer, id uint32) {
		p.headers(id, true, get()...)
		p.w.WriteWindowUpdate(id, 0)
	}, 100, 250},
	{"sections too large", func(p *peer, id uint32) {
		p.headers(id, true, get("x", strings.Repeat("~", 40<<10), "x", strings.Repeat("~", 40<<10))...)
	}, 100, 550},
	{"empty DATA", func(p *peer, id uint32) {
		if id == 1 {
			p.headers(1, false, post()...)
		}
		p.w.WriteData(1, false, nil)
	}, 1000, 2100},
	{"DATA of padding", func(p *peer, id uint32) {
		if id == 1 {
			p.headers(1, false, post()...)
		}
		p.w.WriteDataPadded(1, false, zeros[:1], zeros[:200])
	}, 5000, 12000},
	{"DATA on closed streams", func(p *peer, id uint32) {
		if id == 1 {
			p.headers(1, false, "X", "1")
		}
		p.w.WriteData(1, false, zeros[:1])
	}, 5000, 11000},
	{"CONTINUATION", func(p *peer, id uint32) {
		if id == 1 {
			p.w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get()...)})
		}
		p.w.WriteContinuation(1, false, nil)
	}, 100, 300},
	{"CONTINUATION with something", func(p *peer, id uint32) {
		if id == 1 {
			p.w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get()...)})
		}
		p.w.WriteContinuation(1, false, zeros[:10000])
	}, 20, 30},
	{"window by window of one byte", func(p *peer, id uint32) {
		if id == 1 {
			p.settings(initialWindow(0))
			p.headers(1, true, get()...)
			p.feed()
			st := p.streams[1]
			st.Respond(200, nil, false)
			st.Write(make([]byte, 200<<10))
		}
		p.windowUpdate(1, 1)
	}, 5000, 11000},
}

func TestFloods(t *testing.T) {
	for _, tc := range floods {
		t.Run(tc.name, func(t *testing.T) {
			p := connected(t, nil)
			rounds := 0
			for id := uint32(1); p.err == nil && rounds < 20000; id += 2 {
				tc.round(p, id)
				p.flush()
				p.events, p.frames = nil, nil
				rounds++
			}
			if p.code() != int(EnhanceYourCalm) || rounds < tc.least || rounds > tc.most {
				t.Errorf("%v after %d rounds", p.err, rounds)
			}
			if kept := len(p.s.in.part) + len(p.s.block.fragments) + p.s.schedule.held; kept > 300<<10 {
				t.Errorf("%d bytes are kept", kept)
			}
			// Time makes up for what is done slowly.
			q := connected(t, nil)
			if strings.HasPrefix(tc.name, "CONTINUATION") {
				return // bounded by the section
			}
			for i := range uint32(3 * tc.least) {
				tc.round(q, 2*i+1)
				q.s.Credit(10000/tc.least + 10)
				q.flush()
				q.events, q.frames = nil, nil
				if st := q.streams[2*i+1]; st != nil && i > 0 {
					delete(q.streams, 2*i+1)
				}
			}
			if q.err != nil {
				t.Errorf("with credit: %v", q.err)
			}
		})
	}
}

// What clients do who mean well goes on for ever.
func TestHonestClients(t *testing.T) {
	for _, tc := range []struct {
		name  string
		round func(p *peer, id uint32)
	}{
		{"many small requests", func(p *peer, id uint32) { p.headers(id, true, get()...) }},
		{"a WINDOW_UPDATE for each DATA, a PING now and then", func(p *peer, id uint32) {
			p.headers(id, true, get()...)
			p.windowUpdate(0, 5000)
			p.windowUpdate(id, 5000)
			if id%10 == 1 {
				p.w.WritePing(false, [8]byte{})
			}
		}},
		{"PRIORITY with each request", func(p *peer, id uint32) {
			p.w.WriteRawFrame(http2.FramePriority, 0, id, priority(0))
			p.headers(id, true, get()...)
		}},
		{"a request in three is given up", func(p *peer, id uint32) {
			first := (id-1)*3 + 1
			p.headers(first, true, get()...)
			p.headers(first+2, true, get()...)
			p.headers(first+4, false, post()...)
			p.w.WriteRSTStream(first+4, http2.ErrCodeCancel)
		}},
		{"uploads in small pieces", func(p *peer, id uint32) {
			p.headers(id, false, post()...)
			for range 10 {
				p.w.WriteData(id, false, zeros[:20])
			}
			p.w.WriteData(id, true, nil)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := connected(t, nil)
			p.windowUpdate(0, 1<<30)
			answer := func(st *Stream) { st.Respond(200, nil, false); st.Write(zeros[:100]); st.Close(nil) }
			p.onRequest = func(st *Stream, r *message.Request) {
				if r.Length == 0 {
					answer(st)
				}
			}
			p.onEnd = answer
			for id := uint32(1); id < 12000; id += 2 {
				tc.round(p, id)
				if err := p.flush(); err != nil {
					t.Fatalf("%v on stream %d", err, id)
				}
				p.events, p.frames = nil, nil
			}
		})
	}
}

// A client that sends PINGs and reads nothing does not make the output grow.
func TestControlFramesUnread(t *testing.T) {
	p := connected(t, nil)
	for range 20000 {
		p.w.WritePing(false, [8]byte{})
	}
	p.s.Credit(1 << 30)
	for p.in.Len() > 0 && p.err == nil {
		if err := p.s.Feed(p.in.Next(1700)); err != nil {
			p.err = err
		}
		p.s.Credit(1 << 30)
	}
	if p.code() != int(EnhanceYourCalm) || len(p.s.out) > maxControl+100 {
		t.Errorf("%v with %d bytes of output", p.err, len(p.s.out))
	}
}

func TestTooLarge(t *testing.T) {
	c := &Config{MaxHeaderBytes: 1000}
	p := connected(t, c)
	p.headers(1, true, get("x-kept", "1", "x", strings.Repeat("~", 1500), "x-last", "2")...)
	p.flush()
	p.wantEvents("too large 1")
	p.wantFrames("HEADERS 1 :status=431 END")
	// The table of HPACK has stayed right: these are indexed.
	p.headers(3, true, get("x-kept", "1", "x-last", "2")...)
	p.flush()
	p.wantEvents("request 3 GET https a.example / length=0")
	if f := p.streams[3].req.Fields; fmt.Sprint(f) != "[{x-kept 1} {x-last 2}]" {
		t.Errorf("fields %v", f)
	}
	p.frames = nil
	p.headers(5, false, post()...)
	p.headers(5, true, "x", strings.Repeat("~", 1500))
	p.flush()
	p.wantFrames("RST_STREAM 5 ENHANCE_YOUR_CALM")
	p.events = nil
	p.headers(7, false, get("x", strings.Repeat("~", 1500))...)
	p.w.WriteData(7, false, zeros[:10])
	p.headers(7, true, "x-sum", "1")
	p.flush()
	p.wantEvents("too large 7")
	// Exactly as much as is allowed: "The value is based on the uncompressed size of header fields, including the length of the name and value
	// in octets plus an overhead of 32 octets for each header field."
	used := 0
	for i, pairs := 0, get(); i < len(pairs); i += 2 {
		used += len(pairs[i]) + len(pairs[i+1]) + 32
	}
	for over, want := range []string{"request 1 GET https a.example / length=0", "too large 1"} {
		q := connected(t, c)
		q.headers(1, true, get("x", strings.Repeat("a", 1000-used-33+over))...)
		q.flush()
		q.wantEvents(want)
	}
}

// An entry of the table that is named again and again is large where it is decoded, and nowhere else.
func TestBomb(t *testing.T) {
	p := connected(t, nil)
	entry := strings.Repeat("~", 3900)
	p.headers(1, true, get("x", entry)...)
	p.flush()
	block := p.encode(get()...)
	for range 60000 {
		block = append(block, 0x80|62)
	}
	p.w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndStream: true, BlockFragment: block[:16000]})
	for rest := block[16000:]; len(rest) > 0; {
		n := min(len(rest), 16000)
		p.w.WriteContinuation(3, n == len(rest), rest[:n])
		rest = rest[n:]
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.feed()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; p.code() != int(EnhanceYourCalm) || grown > 1<<20 {
		t.Errorf("%v, %d bytes allocated", p.err, grown)
	}
}

func TestTooManyStreams(t *testing.T) {
	p := connected(t, &Config{MaxStreams: 2})
	for id := uint32(1); id < 9; id += 2 {
		p.headers(id, true, get()...)
	}
	p.flush()
	// "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream limit to be exceeded MUST treat this as a stream
	// error of type PROTOCOL_ERROR or REFUSED_STREAM." (RFC 9113 section 5.1.2)
	p.wantFrames("RST_STREAM 5 REFUSED_STREAM", "RST_STREAM 7 REFUSED_STREAM")
	// What follows on a refused stream is ignored.
	p.w.WriteData(5, true, zeros[:10])
	p.headers(7, true, "x-sum", "1")
	p.flush()
	p.wantFrames()
	p.streams[1].Respond(200, nil, true)
	p.headers(9, true, get()...)
	p.flush()
	if p.streams[9] == nil || p.s.Streams() != 2 {
		t.Errorf("%d streams are open", p.s.Streams())
	}
}

// Closed streams leave nothing behind.
func TestClosedStreams(t *testing.T) {
	p := connected(t, nil)
	p.onRequest = func(st *Stream, _ *message.Request) {
		st.Respond(200, nil, true)
		st.Release()
		delete(p.streams, st.ID())
	}
	var before, after runtime.MemStats
	round := func(from, to uint32) {
		for id := from; id < to; id += 2 {
			p.headers(id, true, get()...)
			p.flush()
			p.events, p.frames = nil, nil
			delete(p.finished, id)
		}
		p.s.Rest()
		runtime.GC()
	}
	round(1, 2001)
	runtime.ReadMemStats(&before)
	round(2001, 42001)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<10 {
		t.Errorf("20000 requests left %d bytes", grown)
	}
}

// DATA that is on its way when many streams are reset at once is no error, however long ago a reset was.
func TestFramesForStreamsResetLongAgo(t *testing.T) {
	p := connected(t, nil)
	p.onRequest = func(st *Stream, _ *message.Request) { st.Reset(Cancel) }
	for id := uint32(1); id < 200; id += 2 {
		p.headers(id, false, post()...)
	}
	p.flush()
	p.frames = nil
	for id := uint32(1); id < 200; id += 2 {
		p.w.WriteData(id, false, zeros[:10])
		p.headers(id, true, "x-sum", "1")
	}
	if err := p.flush(); err != nil {
		t.Error(err)
	}
	p.wantFrames()
}

// An idle session is small.
func TestIdleMemory(t *testing.T) {
	const n = 200
	peers := make([]*Session, n)
	wire := newScript()
	wire.hello()
	for id := uint32(1); id < 200; id += 2 {
		wire.ask(id, browser...)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range peers {
		peers[i] = NewSession(nil, &responder{answerFields(100), zeros[:100]}, nil)
		peers[i].Feed(wire.Bytes())
		peers[i].Output(nil)
		peers[i].Rest()
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes each", each)
	if each > 8<<10 {
		t.Errorf("an idle session has %d bytes", each)
	}
	runtime.KeepAlive(peers)
}
