package h2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

func TestGreeting(t *testing.T) {
	p := newPeer(t, nil)
	origin := appendHead(nil, 3, 0xc, 0, 0)
	origin = append(origin, 0, 1, 'a')
	p.s = NewSession(nil, p, origin)
	p.drain()
	p.wantFrames("SETTINGS", `UNKNOWN 0xc 0 "\x00\x01a"`, "WINDOW_UPDATE 0 983041")
	out := NewSession(&Config{MaxStreams: 7, StreamWindow: 100000, MaxHeaderBytes: 9000}, p, nil).Output(nil)
	want := []byte{0, 0, 30, frameSettings, 0, 0, 0, 0, 0,
		0, 3, 0, 0, 0, 7, 0, 4, 0, 1, 0x86, 0xa0, 0, 6, 0, 0, 0x23, 0x28, 0, 8, 0, 0, 0, 1, 0, 9, 0, 0, 0, 1}
	if got := string(out[:len(want)]); got != string(want) {
		t.Errorf("the first frame is\n%x, want\n%x", got, want)
	}
}

func TestSettled(t *testing.T) {
	p := newPeer(t, nil)
	p.in.WriteString(clientPreface)
	p.flush()
	if p.s.Settled() {
		t.Error("settled without SETTINGS")
	}
	p.w.WriteSettings()
	p.flush()
	if !p.s.Settled() {
		t.Error("not settled with SETTINGS")
	}
	// "The SETTINGS parameters ... Once all values have been processed, the recipient MUST immediately emit a SETTINGS frame with the ACK
	// flag set." (RFC 9113 section 6.5.3)
	p.wantFrames("SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack")
}

func TestAnswer(t *testing.T) {
	text := message.Fields{{Name: "content-type", Value: "text/plain"}}
	sum := message.Fields{{Name: "x-sum", Value: "1"}}
	for _, tc := range []struct {
		name   string
		answer func(st *Stream)
		want   []string
	}{
		{"header section alone", func(st *Stream) { st.Respond(204, text, true) },
			[]string{"HEADERS 1 :status=204 content-type=text/plain END"}},
		{"no content", func(st *Stream) { st.Respond(421, nil, false); st.Close(nil) },
			[]string{"HEADERS 1 :status=421 END"}},
		{"content", func(st *Stream) { st.Respond(200, text, false); st.Write(zeros[:10]); st.Close(nil) },
			[]string{"HEADERS 1 :status=200 content-type=text/plain", "DATA 1 10 END"}},
		{"pieces are put together", func(st *Stream) {
			st.Respond(200, nil, false)
			for range 5 {
				st.Write(zeros[:4000])
			}
			st.Close(nil)
		}, []string{"HEADERS 1 :status=200", "DATA 1 16384", "DATA 1 3616 END"}},
		{"trailers", func(st *Stream) { st.Respond(200, nil, false); st.Write(zeros[:10]); st.Close(sum) },
			[]string{"HEADERS 1 :status=200", "DATA 1 10", "HEADERS 1 x-sum=1 END"}},
		{"interim answers", func(st *Stream) {
			st.Inform(103, message.Fields{{Name: "link", Value: "</a>"}})
			st.Inform(100, nil)
			st.Inform(101, nil)
			st.Inform(200, nil)
			st.Respond(200, nil, true)
			st.Inform(103, nil)
		}, []string{"HEADERS 1 :status=103 link=</a>", "HEADERS 1 :status=100", "HEADERS 1 :status=200 END"}},
		{"once", func(st *Stream) {
			st.Respond(200, nil, true)
			st.Respond(500, nil, true)
			st.Write(zeros[:1])
			st.Close(nil)
		},
			[]string{"HEADERS 1 :status=200 END"}},
		{"content before the header section", func(st *Stream) { st.Write(zeros[:5]); st.Respond(200, nil, true) },
			[]string{"HEADERS 1 :status=200 END"}},
		{"end before the header section", func(st *Stream) { st.Close(nil) }, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		{"status that is none", func(st *Stream) { st.Respond(99, nil, true) }, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		{"released unanswered", func(st *Stream) { st.Release() }, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		{"broken off", func(st *Stream) {
			st.Respond(200, nil, false)
			st.Write(zeros[:5])
			st.Reset(InternalError)
			st.Close(nil)
		},
			[]string{"HEADERS 1 :status=200", "DATA 1 5", "RST_STREAM 1 INTERNAL_ERROR"}},
		// "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." (RFC 9113 section 8.2.2)
		{"fields that cannot be carried", func(st *Stream) {
			st.Respond(200, message.Fields{{Name: "connection", Value: "close"}, {Name: "transfer-encoding", Value: "chunked"}, {Name: "Upper", Value: "1"},
				{Name: "keep-alive", Value: "1"}, {Name: "upgrade", Value: "h2c"}, {Name: "proxy-connection", Value: "close"}, {Name: ":status", Value: "404"},
				{Name: "x", Value: "a\r\nb"}, {Name: "y", Value: " a"}, {Name: "", Value: "a"}, {Name: "z", Value: "1"}}, true)
		}, []string{"HEADERS 1 :status=200 z=1 END"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := connected(t, nil)
			p.onRequest = func(st *Stream, _ *message.Request) { tc.answer(st) }
			p.headers(1, true, get()...)
			p.flush()
			p.wantFrames(tc.want...)
			if p.s.Streams() != 0 {
				t.Errorf("%d streams are open", p.s.Streams())
			}
		})
	}
}

// A section that is too long for one frame goes on in CONTINUATION frames, and nothing comes between.
func TestLongAnswerSection(t *testing.T) {
	p := connected(t, nil)
	long := message.Fields{{Name: "x", Value: strings.Repeat("~", 40000)}, {Name: "y", Value: "1"}}
	p.onRequest = func(st *Stream, _ *message.Request) {
		st.Respond(200, long, false)
		st.Write(zeros[:5])
		st.Close(long)
	}
	p.headers(1, true, get()...)
	p.flush()
	want := " x=" + long[0].Value + " y=1"
	p.wantFrames("HEADERS 1 :status=200"+want, "DATA 1 5", "HEADERS 1"+want+" END")
}

func TestRequest(t *testing.T) {
	for _, tc := range []struct {
		name  string
		pairs []string
		end   bool
		want  message.Request
	}{
		{"plain", get("accept", "*/*"), true,
			message.Request{Method: "GET", Scheme: "https", Authority: "a.example", Target: "/", Fields: message.Fields{{Name: "accept", Value: "*/*"}}}},
		{"content of unknown length", post(), false, message.Request{Method: "POST", Scheme: "https", Authority: "a.example", Target: "/", Length: -1}},
		{"content of known length", post("content-length", "7"), false,
			message.Request{Method: "POST", Scheme: "https", Authority: "a.example", Target: "/", Length: 7}},
		{"no content", post("content-length", "0"), true, message.Request{Method: "POST", Scheme: "https", Authority: "a.example", Target: "/"}},
		{"hosts beside the authority", get("host", "b", "host", "c"), true,
			message.Request{Method: "GET", Scheme: "https", Authority: "a.example", Target: "/", Hosts: []string{"b", "c"}}},
		{"host for the authority", []string{":method", "GET", ":scheme", "https", ":path", "/", "host", "b", "host", "c"}, true,
			message.Request{Method: "GET", Scheme: "https", Authority: "b", Target: "/", Hosts: []string{"b", "c"}}},
		{"an empty authority is one", []string{":method", "GET", ":scheme", "https", ":authority", "", ":path", "/", "host", "b"}, true,
			message.Request{Method: "GET", Scheme: "https", Target: "/", Hosts: []string{"b"}}},
		{"authority as it is", []string{":method", "GET", ":scheme", "FTP", ":authority", "u@B:99x", ":path", "/a?b#c"}, true,
			message.Request{Method: "GET", Scheme: "FTP", Authority: "u@B:99x", Target: "/a?b#c"}},
		// "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a single octet string using
		// the two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ")" (RFC 9113 section 8.2.3).
		{"cookies", get("cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"), true,
			message.Request{Method: "GET", Scheme: "https", Authority: "a.example", Target: "/",
				Fields: message.Fields{{Name: "cookie", Value: "a=1; b=2; c=3"}, {Name: "x", Value: "y"}}}},
		{"two cookies", get("cookie", "a=1", "cookie", "b=2"), true,
			message.Request{Method: "GET", Scheme: "https", Authority: "a.example", Target: "/", Fields: message.Fields{{Name: "cookie", Value: "a=1; b=2"}}}},
		{"fields of the hop", get("te", "trailers", "trailer", "x", "proxy-authorization", "x", "proxy-authenticate", "x", "http2-settings", "x", "y", "z"), true,
			message.Request{Method: "GET", Scheme: "https", Authority: "a.example", Target: "/",
				Fields: message.Fields{{Name: "te", Value: "trailers"}, {Name: "y", Value: "z"}}}},
		// RFC 9110 section 6.6.2: it says what may follow the content.
		{"announced trailers", post("trailer", "x-sum", "a", "b"), false,
			message.Request{Method: "POST", Scheme: "https", Authority: "a.example", Target: "/", Length: -1,
				Fields: message.Fields{{Name: "trailer", Value: "x-sum"}, {Name: "a", Value: "b"}}}},
		{"announced trailers that cannot come", post("trailer", "x-sum", "a", "b"), true,
			message.Request{Method: "POST", Scheme: "https", Authority: "a.example", Target: "/", Fields: message.Fields{{Name: "a", Value: "b"}}}},
		{"extended connect", []string{":method", "CONNECT", ":protocol", "WebSocket", ":scheme", "https", ":authority", "a", ":path", "/chat"}, false,
			message.Request{Method: "CONNECT", Scheme: "https", Authority: "a", Target: "/chat", Protocol: "websocket", Length: -1}},
		{"connect", []string{":method", "CONNECT", ":authority", "a:1"}, false, message.Request{Method: "CONNECT", Authority: "a:1", Length: -1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := connected(t, nil)
			tc.want.Major = 2
			heard := false
			p.onRequest = func(st *Stream, r *message.Request) {
				heard = true
				if got, want := fmt.Sprintf("%+v", *r), fmt.Sprintf("%+v", tc.want); got != want {
					t.Errorf("got\n%s, want\n%s", got, want)
				}
				st.Respond(200, nil, true)
				st.Release()
			}
			for id := uint32(1); id < 6; id += 2 { // again with a stream that was used before
				heard = false
				p.headers(id, tc.end, tc.pairs...)
				p.flush()
				if !heard {
					t.Fatalf("no request: %v", p.frames)
				}
			}
		})
	}
}

func TestContentEvents(t *testing.T) {
	p := connected(t, nil)
	p.headers(1, false, post("content-length", "9")...)
	p.w.WriteData(1, false, zeros[:4])
	p.w.WriteData(1, false, nil)
	p.w.WriteDataPadded(1, false, zeros[:5], zeros[:9])
	p.headers(1, true, "x-sum", "1", "content-length", "3", "host", "b", "trailer", "c")
	p.flush()
	p.wantEvents("request 1 POST https a.example / length=9", "data 1 4", "data 1 5", "end 1 [{x-sum 1}]")
	p.wantFrames()
	p.streams[1].Respond(200, nil, true)
	p.drain()
	p.wantFrames("HEADERS 1 :status=200 END")
}

// Where no content was declared, none is announced, nor its end.
func TestDeclaredEmpty(t *testing.T) {
	p := connected(t, nil)
	p.headers(1, false, post("content-length", "0")...)
	p.w.WriteData(1, true, nil)
	p.flush()
	p.wantEvents("request 1 POST https a.example / length=0")
	p.streams[1].Respond(200, nil, true)
	if p.s.Streams() != 0 {
		t.Error("the stream is open although both sides have ended it")
	}
}

// An answer that is complete before the request leaves the stream open for the rest of it.
func TestAnswerBeforeTheEnd(t *testing.T) {
	p := connected(t, nil)
	p.onRequest = func(st *Stream, _ *message.Request) { st.Respond(200, nil, true) }
	p.headers(1, false, post()...)
	p.w.WriteData(1, false, zeros[:4])
	p.flush()
	if p.s.Streams() != 1 {
		t.Error("the stream is closed although the client has not ended it")
	}
	p.w.WriteData(1, true, zeros[:4])
	p.flush()
	p.wantEvents("request 1 POST https a.example / length=-1", "data 1 4", "data 1 4", "end 1 []")
	if p.s.Streams() != 0 {
		t.Error("the stream is open although both sides have ended it")
	}
}

func TestResets(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(p *peer)
	}{
		{"by the client", func(p *peer) { p.w.WriteRSTStream(1, http2.ErrCodeCancel) }},
		{"content too long", func(p *peer) { p.w.WriteData(1, false, zeros[:9]) }},
		{"malformed trailers", func(p *peer) { p.headers(1, true, ":x", "1") }},
		{"error of the connection", func(p *peer) { p.w.WriteSettingsAck() }},
		{"going on after a reset", func(p *peer) {
			p.w.WriteRSTStream(1, http2.ErrCodeCancel)
			p.w.WriteData(1, true, zeros[:9])
			p.w.WriteWindowUpdate(1, 9)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := connected(t, nil)
			p.headers(1, false, post("content-length", "5")...)
			p.flush()
			p.events = nil
			tc.send(p)
			p.flush()
			p.wantEvents("reset 1")
			st := p.streams[1]
			if st.Open() || st.Write(zeros[:5]) != 0 {
				t.Error("the stream still takes an answer")
			}
			st.Respond(200, nil, true)
			st.Reset(Cancel)
			p.frames = nil
			p.drain()
			p.wantFrames()
			// Nobody hears of it who has released it.
			q := connected(t, nil)
			q.onRequest = func(st *Stream, _ *message.Request) { st.Respond(200, nil, false); st.Close(nil); st.Release() }
			q.headers(1, false, post("content-length", "5")...)
			q.flush()
			q.events = nil
			tc.send(q)
			q.flush()
			q.wantEvents()
		})
	}
}

func TestLost(t *testing.T) {
	p := connected(t, nil)
	p.headers(1, false, post()...)
	p.headers(3, false, post()...)
	p.flush()
	p.events, p.frames = nil, nil
	p.s.Ping()
	p.s.Lost()
	p.wantEvents("reset 1", "reset 3")
	p.streams[1].Respond(200, nil, true)
	p.s.Origin(zeros[:9])
	p.headers(5, true, get()...)
	p.flush()
	p.wantEvents()
	p.wantFrames()
	if !p.s.Done() {
		t.Error("not done")
	}
}

func TestPing(t *testing.T) {
	p := connected(t, nil)
	p.w.WritePing(false, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	p.s.Ping()
	p.s.Ping()
	p.flush()
	// "PING frames ... A receiver of a PING frame ... MUST send a PING frame with the ACK flag set in response, with an identical frame
	// payload." (RFC 9113 section 6.7)
	p.wantFrames(`PING ack=false "usherpng"`, `PING ack=true "\x01\x02\x03\x04\x05\x06\a\b"`)
	p.w.WritePing(true, [8]byte{1})
	p.flush()
	p.wantEvents()
	p.w.WritePing(true, pingAlive)
	p.w.WritePing(true, pingAlive)
	p.flush()
	p.wantEvents("pong")
	p.s.Ping()
	p.drain()
	p.wantFrames(`PING ack=false "usherpng"`)
}

func TestErrors(t *testing.T) {
	if got := FlowControlError.String(); got != "FLOW_CONTROL_ERROR" {
		t.Error(got)
	}
	if got := ErrCode(0xff).String(); got != "error code 0xff" {
		t.Error(got)
	}
	if got := (&ConnError{ProtocolError, "why"}).Error(); got != "HTTP/2: PROTOCOL_ERROR: why" {
		t.Error(got)
	}
	for code := NoError; code <= HTTP11Required; code++ {
		if want := http2.ErrCode(code).String(); code.String() != want {
			t.Errorf("%d is %v, want %v", uint32(code), code, want)
		}
	}
}
