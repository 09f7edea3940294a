package h2

import (
	"testing"

	"golang.org/x/net/http2"
)

// "A server that is attempting to gracefully shut down a connection SHOULD send an initial GOAWAY frame with the last stream identifier
// set to 2^31-1 and a NO_ERROR code. ... After allowing time for any in-flight stream creation (at least one round-trip time), the server
// MAY send another GOAWAY frame with an updated last stream identifier." (RFC 9113 section 6.8)
func TestGoAway(t *testing.T) {
	p := connected(t, nil)
	p.headers(1, true, get()...)
	p.flush()
	if p.s.Ending() {
		t.Error("ending unasked")
	}
	p.s.GoAway()
	p.s.GoAway()
	p.headers(3, true, get()...) // was on its way
	p.flush()
	p.wantFrames("GOAWAY 2147483647 NO_ERROR", `PING ack=false "usherbye"`)
	if !p.s.Ending() || p.s.Done() {
		t.Errorf("ending %v, done %v", p.s.Ending(), p.s.Done())
	}
	p.w.WritePing(true, pingLeaving)
	p.w.WritePing(true, pingLeaving)
	p.headers(5, true, get()...)
	p.flush()
	p.wantFrames("GOAWAY 3 NO_ERROR", "RST_STREAM 5 REFUSED_STREAM")
	p.wantEvents("request 1 GET https a.example / length=0", "request 3 GET https a.example / length=0")
	p.streams[1].Respond(200, nil, true)
	p.drain()
	if p.s.Done() {
		t.Error("done with a stream open")
	}
	p.streams[3].Respond(200, nil, true)
	if p.s.Done() {
		t.Error("done with an answer unsent")
	}
	p.drain()
	if !p.s.Done() {
		t.Error("not done")
	}
	// "Endpoints MUST NOT increase the value they send in the last stream identifier".
	p.frames = nil
	p.w.WriteSettingsAck()
	p.flush()
	p.wantFrames("GOAWAY 3 PROTOCOL_ERROR")
}

func TestFinishGoAway(t *testing.T) {
	p := connected(t, nil)
	p.s.GoAway()
	p.s.FinishGoAway()
	p.s.FinishGoAway()
	p.drain()
	p.wantFrames("GOAWAY 2147483647 NO_ERROR", `PING ack=false "usherbye"`, "GOAWAY 0 NO_ERROR")
	if !p.s.Done() {
		t.Error("not done")
	}
	p.w.WritePing(true, pingLeaving)
	p.flush()
	p.wantFrames()
}

func TestClientGoesAway(t *testing.T) {
	p := connected(t, nil)
	p.headers(1, true, get()...)
	p.w.WriteGoAway(0, http2.ErrCodeNo, []byte("bye"))
	p.flush()
	if !p.s.Ending() || p.s.Done() {
		t.Errorf("ending %v, done %v", p.s.Ending(), p.s.Done())
	}
	p.streams[1].Respond(200, nil, true)
	p.drain()
	p.wantFrames("HEADERS 1 :status=200 END")
	if !p.s.Done() {
		t.Error("not done")
	}
}

// A connection error says how far requests were looked at, so that the client knows which to repeat.
func TestConnectionErrorNamesTheLastStream(t *testing.T) {
	p := connected(t, nil)
	p.headers(7, true, get()...)
	p.w.WriteSettingsAck()
	p.headers(9, true, get()...)
	p.flush()
	p.wantFrames("GOAWAY 7 PROTOCOL_ERROR")
	p.wantEvents("request 7 GET https a.example / length=0", "reset 7")
	if err := p.s.Feed(zeros); err != p.err {
		t.Errorf("a second Feed returns %v", err)
	}
	p.s.Ping()
	p.s.GoAway()
	p.s.FinishGoAway()
	p.drain()
	p.wantFrames()
	if !p.s.Done() {
		t.Error("not done")
	}
}
