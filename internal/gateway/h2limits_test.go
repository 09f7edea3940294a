package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// timeouts.body: how long a client may send nothing of its content.
func TestH2ContentThatStalls(t *testing.T) {
	up := newUpstreamServer(t, echo)
	d := drive(t, mixed(up.URL)+"timeouts: {body: 200ms}\n")
	c := d.wire(t)
	for _, fields := range [][]string{{}, {"content-length", "9"}, {"content-length", "100000"}, {"content-length", "9", "expect", "100-continue"}} {
		id := c.ask(false, "POST", "/", fields...)
		c.data(id, false, []byte("hello"))
		c.want(id, "408", "408 Request Timeout\n")
		c.want(c.get("/fixed"), "200", "fixed\n")
	}
	// Nothing at all.
	id := c.ask(false, "POST", "/")
	c.flush()
	c.want(id, "408", "")
}

// timeouts.idle: how long a client may take nothing of an answer. Other streams of the connection go on.
func TestH2AnswerThatIsNotTaken(t *testing.T) {
	patiently(t, 300*time.Millisecond, func(t *testing.T, idle time.Duration) bool {
		gone := make(chan struct{})
		block := make([]byte, 64<<10)
		up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/endless" {
				io.WriteString(w, r.URL.Path)
				return
			}
			for {
				if _, err := w.Write(block); err != nil {
					close(gone)
					return
				}
			}
		})
		d := drive(t, mixed(up.URL)+fmt.Sprintf("timeouts: {idle: %v}\n", idle))
		c := d.wire(t)
		c.out.WriteWindowUpdate(0, 1<<24)
		id := c.get("/endless") // fills the stream's window, and not the connection's
		var h heard
		for h.reset == nil {
			quick := c.get("/quick")
			if !c.ends(quick) || c.seen(quick).status != "200" {
				return false // the limit is the upstream's, too, and that of a connection whose client does not answer a PING
			}
			h = c.seen(id)
		}
		if *h.reset != http2.ErrCodeCancel || h.ended || len(h.body) != 65535 {
			t.Errorf("reset with %v, ended %v, %d bytes", *h.reset, h.ended, len(h.body))
		}
		wait(t, "the end of the upstream's answer", gone)
		d.log.wait(t, "msg", "request", "path", "/endless", "aborted", "true")
		quick := c.get("/quick")
		if !c.ends(quick) {
			return false // idle since the last one
		}
		c.want(quick, "200", "/quick")
		return true
	})
}

// timeouts.header: how long a client may take for its preface, for a header section, and for a frame.
func TestH2WhatIsNotCompleted(t *testing.T) {
	for name, begin := range map[string]func(c *wire){
		"half a HEADERS frame": func(c *wire) {
			c.ask(true, "GET", "/fixed")
			c.queue.Truncate(c.queue.Len() / 2)
		},
		"half the header of a frame": func(c *wire) { c.queue.Write([]byte{0, 0, 8, 6}) },
		"no CONTINUATION": func(c *wire) {
			c.out.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: []byte{0x82}})
		},
		"no CONTINUATION behind an answered request": func(c *wire) {
			c.ask(true, "GET", "/fixed")
			c.out.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndStream: true, BlockFragment: []byte{0x82}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			patiently(t, 300*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
				d := drive(t, mixed("http://"+deadAddress(t))+fmt.Sprintf("timeouts: {header: %v}\n", limit))
				c := d.wire(t)
				if !c.pinged() { // our acknowledgement of SETTINGS is through, and does not come in between
					return false
				}
				begin(c)
				c.flush()
				c.wantEnd(http2.ErrCodeNo)
				if name == "half the header of a frame" { // of whatever
					d.wantMetric(t, 0, "usher_malformed_requests_total", "proto=h2", "status=0")
					return true
				}
				wantFields(t, d.log.wait(t, "msg", "request", "reason", malformedRequest), map[string]any{
					"proto": "h2", "status": 0, "verdict": "malformed", "error": "a header section that did not come in time", "sni": "a.test.example",
				})
				d.wantMetric(t, 1, "usher_malformed_requests_total", "proto=h2", "status=0")
				return true
			})
		})
	}
	d := drive(t, mixed("http://"+deadAddress(t))+"timeouts: {header: 300ms}\n")
	for name, first := range map[string]string{
		"no preface":       "",
		"half a preface":   preface[:10],
		"no SETTINGS":      preface,
		"half of SETTINGS": preface + "\x00\x00\x00\x04",
	} {
		t.Run(name, func(t *testing.T) {
			nc := d.secured(t)
			io.WriteString(nc, first)
			text, err := io.ReadAll(nc)
			if err != nil {
				t.Error(err)
			}
			// Its type is the fourth byte of a frame (RFC 9113 section 4.1).
			if at := len(text) - 17; at < 0 || text[at+3] != byte(http2.FrameGoAway) || !bytes.Equal(text[at+13:], []byte{0, 0, 0, 0}) {
				t.Errorf("the last frame is not GOAWAY with NO_ERROR: % x", text)
			}
		})
	}
}

// Content is no header section: half a DATA frame has the time that content has.
func TestH2HalfADataFrame(t *testing.T) {
	read := make(chan string, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		var buf [4]byte
		io.ReadFull(r.Body, buf[:])
		read <- string(buf[:])
		rest, _ := io.ReadAll(r.Body)
		read <- string(rest)
	})
	patiently(t, 100*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
		d := drive(t, mixed(up.URL)+fmt.Sprintf("timeouts: {header: %v}\n", limit))
		c := d.wire(t)
		if !c.pinged() { // our acknowledgement of SETTINGS is through
			return false
		}
		id := c.ask(false, "POST", "/")
		c.out.WriteData(id, true, []byte("hello"))
		c.queue.Truncate(c.queue.Len() - 1)
		c.flush()
		if got := wait(t, "content", read); got != "hell" {
			t.Errorf("read %q", got)
		}
		select {
		case <-c.gone:
			t.Fatal("the connection ended")
		case <-time.After(3 * limit): // nothing is to happen
		}
		c.queue.WriteByte('o')
		c.flush()
		c.want(id, "200", "")
		if got := wait(t, "content", read); got != "o" {
			t.Errorf("read %q", got)
		}
		return true
	})
}

// RFC 9113 section 6.8: "Endpoints SHOULD always send a GOAWAY frame before closing a connection so that the remote peer can know
// whether a stream has been partially processed or not."
func TestH2IdleConnection(t *testing.T) {
	patiently(t, 300*time.Millisecond, func(t *testing.T, idle time.Duration) bool {
		d := drive(t, mixed("http://"+deadAddress(t))+fmt.Sprintf("timeouts: {idle: %v}\n", idle))
		c := d.wire(t)
		id := c.get("/fixed")
		if !c.ends(id) {
			return false
		}
		c.want(id, "200", "fixed\n")
		if !c.pinged() { // no request
			return false
		}
		if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
			t.Errorf("the last stream is %d, want %d", last, id)
		}
		d.wantNothingLeft(t)
		c = d.wire(t) // without a request
		if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != 0 {
			t.Errorf("the last stream is %d, want 0", last)
		}
		return true
	})
}

// A request that crosses with the end of an idle connection is served: the client is told first, and its answer to that waited for, a moment.
// Most clients cannot send content again (RFC 9113 section 6.8: "A server that is attempting to gracefully shut down a connection SHOULD
// send an initial GOAWAY frame with the last stream identifier set to 2^31-1").
func TestH2IdleConnectionLosesNothing(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t))+"timeouts: {idle: 50ms}\n")
	for range 10 {
		c := d.wire(t)
		c.mu.Lock()
		c.noPong = true
		c.mu.Unlock()
		c.until("GOAWAY and PING", func() bool { return len(c.goAways) == 1 && c.pings == 1 })
		told := time.Now()
		if got := c.goAways[0]; got.LastStreamID != 1<<31-1 || got.ErrCode != http2.ErrCodeNo {
			t.Errorf("the first GOAWAY: %v", got)
		}
		id := c.get("/fixed") // on its way when the GOAWAY came
		if time.Since(told) > partAfter/2 {
			continue // the machine is too slow
		}
		c.want(id, "200", "fixed\n")
		if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
			t.Errorf("the last stream is %d, want %d", last, id)
		}
		d.wantNothingLeft(t)
		return
	}
	t.Error("the machine is too slow")
}

// A stream that was answered, and that the client does not end, keeps no connection.
func TestH2IdleConnectionWithAStream(t *testing.T) {
	patiently(t, 100*time.Millisecond, func(t *testing.T, idle time.Duration) bool {
		d := drive(t, mixed("http://"+deadAddress(t))+fmt.Sprintf("timeouts: {idle: %v}\n", idle))
		c := d.wire(t)
		id := c.ask(false, "POST", "/fixed")
		c.flush()
		if !c.ends(id) {
			return false // idle before the request came
		}
		c.want(id, "200", "fixed\n")
		if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
			t.Errorf("the last stream is %d, want %d", last, id)
		}
		d.wantNothingLeft(t)
		return true
	})
}

// A client that vanished without a word does not answer a PING; one that waits for its answer does.
func TestH2SilentClient(t *testing.T) {
	patiently(t, 200*time.Millisecond, func(t *testing.T, idle time.Duration) bool {
		g := newGate(t)
		d := drive(t, mixed(g.URL)+fmt.Sprintf("timeouts: {idle: %v}\n", idle))
		there, vanished := d.wire(t), d.wire(t)
		vanished.mu.Lock()
		vanished.noPong = true
		vanished.mu.Unlock()
		id := there.get("/held")
		vanished.get("/held")
		for range 2 {
			select {
			case <-g.asked:
			case <-there.gone:
				return false // idle before its request came
			case <-vanished.gone:
				return false
			case <-time.After(patience):
				t.Fatal("the request did not come")
			}
		}
		wait(t, "the end of the connection", vanished.gone)
		if vanished.pings != 1 {
			t.Errorf("%d PINGs, want 1", vanished.pings)
		}
		wait(t, "the end of the upstream's request", g.gone)
		answers := false
		eventually(t, "another PING", func() bool {
			there.mu.Lock()
			defer there.mu.Unlock()
			answers = there.err == nil
			return there.pings >= 2 || !answers
		})
		if !answers {
			return false // it had no time to
		}
		g.let <- struct{}{}
		there.want(id, "200", "held")
		return true
	})
}

// Frames that bring nobody anything use up what time gives back, and time alone gives it back: not each look at the clock.
func TestH2FloodOnAnIdleConnection(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)))
	c := d.wire(t)
	c.want(c.get("/fixed"), "200", "fixed\n")
	c.ping()
	hc := d.conn(t)
	hc.mu.Lock()
	long := -10 * restAfter // the connection has rested for a while
	hc.worked, hc.heard = hc.worked.Add(long), hc.heard.Add(long)
	hc.mu.Unlock()
	const many = 3000 // five times what a session takes at once
	for range many {
		c.mu.Lock()
		before, over := len(c.order), c.err != nil
		c.mu.Unlock()
		if over {
			break
		}
		c.out.WriteSettings()
		c.flush()
		c.until("SETTINGS to be acknowledged, or GOAWAY", func() bool { return len(c.order) > before || c.err != nil })
	}
	c.wantEnd(http2.ErrCodeEnhanceYourCalm)
}
