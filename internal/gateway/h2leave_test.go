package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// shut begins a graceful shutdown of the server.
func (d *driven) shut() <-chan error {
	done := make(chan error, 1)
	d.in.Close()
	go func() { done <- d.srv.shutdown(context.Background()) }()
	return done
}

// RFC 9113 section 6.8: "A server that is attempting to gracefully shut down a connection SHOULD send an initial GOAWAY frame with the
// last stream identifier set to 2^31-1 and a NO_ERROR code. This signals to the client that a shutdown is imminent and that
// initiating further requests is prohibited. After allowing time for any in-flight stream creation (at least one round-trip time),
// the server MAY send another GOAWAY frame with an updated last stream identifier. This ensures that a connection can be cleanly shut
// down without losing requests."
func TestH2LeavesGracefully(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	c.mu.Lock()
	c.noPong = true
	c.mu.Unlock()
	first := c.get("/held")
	wait(t, "the request", g.asked)
	d.conn(t).leave()
	c.until("GOAWAY and PING", func() bool { return len(c.goAways) == 1 && c.pings == 1 })
	if got := c.goAways[0]; got.LastStreamID != 1<<31-1 || got.ErrCode != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %d, %v", got.LastStreamID, got.ErrCode)
	}
	onItsWay := c.get("/quick")
	c.want(onItsWay, "200", "/quick")
	c.out.WritePing(true, c.pingData)
	late := c.ask(true, "GET", "/quick")
	c.flush()
	c.until("GOAWAY with the last stream", func() bool { return len(c.goAways) == 2 })
	if got := c.goAways[1]; got.LastStreamID != onItsWay || got.ErrCode != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %d, %v; the last stream was %d", got.LastStreamID, got.ErrCode, onItsWay)
	}
	// "... the request can be retried" (RFC 9113 section 8.7).
	if h := c.wantReset(late, http2.ErrCodeRefusedStream); h.status != "" {
		t.Errorf("a late stream was answered: %s", h.status)
	}
	if h := c.seen(first); h.status != "" || h.reset != nil {
		t.Errorf("the request in hand: %+v", h)
	}
	g.let <- struct{}{}
	c.want(first, "200", "held")
	c.wantEnd(http2.ErrCodeNo)
	d.wantNothingLeft(t)
}

// A client that never answers the PING does not hold the shutdown up.
func TestH2ShutdownWithoutAnAnswer(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	busy, idle, deaf := d.wire(t), d.wire(t), d.wire(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for _, c := range []*wire{busy, idle, deaf} {
		c.mu.Lock()
		c.noPong = true
		c.mu.Unlock()
	}
	id := busy.get("/held")
	wait(t, "the request", g.asked)
	idle.want(idle.get("/fixed"), "200", "")
	unread := deaf.get("/quick")
	deaf.until("the header section", func() bool { h := deaf.streams[unread]; return h != nil && h.status == "200" })
	done := d.shut()
	idle.wantEnd(http2.ErrCodeNo)
	busy.until("GOAWAY with the last stream", func() bool { return len(busy.goAways) == 2 }) // they are told one after the other
	late := busy.get("/quick")
	busy.wantReset(late, http2.ErrCodeRefusedStream)
	deaf.out.WriteWindowUpdate(unread, 1000)
	deaf.flush()
	deaf.want(unread, "200", "/quick") // all of it
	deaf.wantEnd(http2.ErrCodeNo)
	select {
	case err := <-done:
		t.Errorf("the shutdown ended before the request: %v", err)
	default:
	}
	g.let <- struct{}{}
	busy.want(id, "200", "held")
	if last := busy.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
}

// RFC 9113 section 5.4.1: "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame (Section 6.8) with the stream
// identifier of the last stream that it successfully received from its peer. ... After sending the GOAWAY frame for an error
// condition, the endpoint MUST close the TCP connection."
func TestH2ConnectionErrorBesideARequest(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	id := c.get("/held")
	wait(t, "the request", g.asked)
	c.out.WriteRawFrame(http2.FramePing, 0, 0, []byte("short"))
	c.flush()
	if last := c.wantEnd(http2.ErrCodeFrameSize).LastStreamID; last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	wait(t, "the end of the upstream's request", g.gone)
	d.log.wait(t, "msg", "request", "status", "499")
	d.wantNothingLeft(t)
}

// The client can read why: closing with bytes unread would reset the connection, and some clients lose what they have not read then.
func TestH2LastWordsAreRead(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)))
	for range 5 {
		c := d.wire(t)
		c.want(c.get("/fixed"), "200", "fixed\n")
		c.out.WriteData(0, false, nil)
		c.out.WriteRawFrame(99, 0, 0, make([]byte, 200_000))
		c.flush()
		c.wantEnd(http2.ErrCodeProtocol)
		if _, err := c.nc.(*tls.Conn).NetConn().Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection ends with %v", err)
		}
	}
}

// RFC 9113 section 6.8, the client's side: what it has asked for before it says GOAWAY is answered, and then the connection ends.
func TestH2ClientGoesAway(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	id := c.ask(true, "GET", "/held")
	c.out.WriteGoAway(0, http2.ErrCodeNo, nil)
	c.flush()
	wait(t, "the request", g.asked)
	g.let <- struct{}{}
	c.want(id, "200", "held")
	if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	d.wantNothingLeft(t)
}

// What it asks for when its connection is about to be closed is not carried out, since nobody would be answered; it is told so.
func TestH2ClientAsksBehindItsGoAway(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	id := c.get("/fixed")
	c.want(id, "200", "fixed\n")
	c.out.WriteGoAway(0, http2.ErrCodeNo, nil)
	c.flush()
	c.until("GOAWAY", func() bool { return len(c.goAways) == 1 })
	c.get("/held")
	if last := c.wantEnd(http2.ErrCodeNo).LastStreamID; last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	d.wantNothingLeft(t)
	if len(g.asked) > 0 {
		t.Error("a request that was not answered was carried out")
	}
}

// When the refused host is the one that the connection was made for, it is closed gracefully: other requests are still answered.
func TestH2LastAnswer(t *testing.T) {
	g := newGate(t)
	text := strings.ReplaceAll(mixed(g.URL), "public_ports", "origin_frame: never, public_ports")
	d := drive(t, text)
	c := d.wireTo(t, &tls.Config{ServerName: "a.test.example", MaxVersion: tls.VersionTLS12})
	b := c.askFor(true, "GET", "b.test.example", "/b")
	held := c.ask(true, "GET", "/held")
	c.flush()
	c.want(b, "200", "site b\n")
	wait(t, "the request", g.asked)
	// From here on the site does not serve this connection any more.
	d.reloadText(t, strings.Replace(text, "key: shared.key}]}", `key: shared.key}], min_version: "1.3"}`, 1))
	c.mu.Lock()
	c.noPong = true
	c.mu.Unlock()
	neighbour := c.askFor(true, "GET", "own.test.example", "/") // no reason to end: it is not this connection's own
	c.flush()
	c.want(neighbour, "421", "")
	c.ping()
	if c.mu.Lock(); len(c.goAways) != 0 {
		t.Errorf("GOAWAY over a 421 for a neighbour: %v", c.goAways)
	}
	c.mu.Unlock()
	own := c.ask(true, "GET", "/fixed")
	c.flush()
	if h := c.want(own, "421", ""); h.value("connection") != "" {
		t.Errorf("connection: %q", h.value("connection"))
	}
	c.until("GOAWAY", func() bool { return len(c.goAways) == 1 })
	b = c.askFor(true, "GET", "b.test.example", "/b")
	c.flush()
	c.want(b, "200", "site b\n")
	c.out.WritePing(true, c.pingData)
	c.flush()
	c.until("GOAWAY with the last stream", func() bool { return len(c.goAways) == 2 })
	if last := c.goAways[1].LastStreamID; last != b {
		t.Errorf("the last stream is %d, want %d", last, b)
	}
	g.let <- struct{}{}
	c.want(held, "200", "held")
	c.wantEnd(http2.ErrCodeNo)
}

// A reload may come when a connection has its ORIGIN frame, and is not among those yet that are told.
func TestH2ReloadBeforeTheConnectionIsKnown(t *testing.T) {
	text := mixed("http://" + deadAddress(t))
	for name, test := range map[string]struct {
		reload string
		misled bool
	}{
		"nothing is taken away": {strings.Replace(text, "site own", "new own", 1), false},
		"an origin is":          {strings.Replace(text, "  - name: b\n", "  - name: b\n    coalesce: false\n", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, text)
			nc := tls.Client(d.dial(t), &tls.Config{ServerName: "a.test.example", RootCAs: d.folder.ca.Pool(), NextProtos: []string{"h2"}})
			eventually(t, "the connection is accepted", func() bool {
				d.srv.mu.Lock()
				defer d.srv.mu.Unlock()
				return len(d.srv.young) == 1
			})
			d.srv.mu.Lock()
			err := nc.Handshake()
			eventually(t, "the connection has its frame", func() bool { return goroutinesIn("(*tcpServer).begin(", "") == 1 })
			d.reloadText(t, test.reload)
			d.srv.mu.Unlock() // whoever tells connections has not found it
			if err != nil {
				t.Fatal(err)
			}
			c := newWire(t, nc)
			if test.misled {
				c.wantEnd(http2.ErrCodeNo) // nothing was asked
				return
			}
			c.want(c.get("/fixed"), "200", "fixed\n")
			c.ping()
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.goAways) > 0 {
				t.Error("the connection is told to go away")
			}
		})
	}
}
