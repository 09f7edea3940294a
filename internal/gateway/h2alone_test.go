package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// A gate is an upstream. /quick is answered at once, with the path; /big with a mebibyte; /held tells that it was asked and is
// answered when it is let, unless the gateway gives it up first.
type gate struct {
	*httptest.Server
	asked, let, gone chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{asked: make(chan struct{}, 100), let: make(chan struct{}, 100), gone: make(chan struct{}, 100)}
	g.Server = newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/held":
			if r.ContentLength != 0 {
				http.NewResponseController(w).EnableFullDuplex() // else the server reads the content before it answers
				w.Header().Set("Connection", "close")
			}
			g.asked <- struct{}{}
			select {
			case <-g.let:
				io.WriteString(w, "held")
			case <-r.Context().Done():
				g.gone <- struct{}{}
			}
		case "/big":
			io.WriteString(w, big)
		default:
			io.WriteString(w, r.URL.Path)
		}
	})
	t.Cleanup(func() { // before the server is closed, which waits
		for len(g.let) < cap(g.let) {
			g.let <- struct{}{}
		}
	})
	return g
}

var big = strings.Repeat("0123456789abcdef", 64<<10)

// alone is a connection on which a request that comes alone is run by the goroutine that reads: it has sent /held, which the
// upstream has.
func alone(t *testing.T) (*driven, *gate, *wire, uint32) {
	t.Helper()
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	for range 50 {
		// An answer may reach the client a moment before its goroutine has ended: the next request is not alone then.
		c.warm("/quick")
		id := c.get("/held")
		wait(t, "the request", g.asked)
		if goroutinesIn("(*h2exchange).runHere(", "") == 1 {
			return d, g, c, id
		}
		g.let <- struct{}{}
		c.want(id, "200", "held")
	}
	t.Fatal("every request has a goroutine of its own")
	return nil, nil, nil, 0
}

func TestH2AloneEndsQuickly(t *testing.T) {
	d := drive(t, mixed(newGate(t).URL))
	c := d.wire(t)
	c.warm("/quick")
	hc := d.conn(t)
	eventually(t, "requests that come alone are run by the reader, which reads again", func() bool {
		for range 100 {
			c.want(c.get("/quick"), "200", "/quick")
		}
		hc.mu.Lock()
		defer hc.mu.Unlock()
		return hc.lonely > aloneAfter && !hc.here && hc.running == 0
	})
}

// Requests that come together have goroutines of their own, and so has what comes alone right after them.
func TestH2TogetherIsNotAlone(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	c.warm("/quick")
	first, second := c.ask(true, "GET", "/held"), c.ask(true, "GET", "/held")
	c.flush()
	wait(t, "a request", g.asked)
	wait(t, "the other", g.asked)
	if goroutinesIn("(*h2exchange).runHere(", "") != 0 {
		t.Error("the reader runs a request beside others")
	}
	g.let <- struct{}{}
	g.let <- struct{}{}
	c.want(first, "200", "held")
	c.want(second, "200", "held")
}

// When it takes longer than a moment, the connection is read again.
func TestH2AloneTakesLong(t *testing.T) {
	d, g, c, id := alone(t)
	c.want(c.get("/quick"), "200", "/quick")
	c.ping()
	c.want(c.get("/fixed"), "200", "fixed\n")
	g.let <- struct{}{}
	c.want(id, "200", "held")
	eventually(t, "one goroutine reads", func() bool { return goroutinesIn("(*h2conn).read(", "") == 1 })
	c.warm("/quick")

	id = c.get("/held")
	wait(t, "the request", g.asked)
	c.out.WriteRSTStream(id, http2.ErrCodeCancel)
	c.flush()
	wait(t, "the end of the upstream's request", g.gone)
	d.log.wait(t, "msg", "request", "status", "499", "path", "/held")
	c.warm("/quick")
}

// Its answer may be larger than the client's windows: somebody has to read that they grow. The timer does not help here.
func TestH2AloneIsLarge(t *testing.T) {
	d := drive(t, mixed(newGate(t).URL))
	c := d.wire(t)
	hc := d.conn(t)
	eventually(t, "the reader has run a request", func() bool {
		c.warm("/quick")
		hc.mu.Lock()
		defer hc.mu.Unlock()
		return hc.watch != nil
	})
	hc.mu.Lock()
	hc.watch.Stop()
	hc.armed = true // as if it were about to fire
	hc.mu.Unlock()
	id := c.get("/big")
	const window = 65535 // RFC 9113 section 6.9.2
	used := 0
	c.until("a window full", func() bool {
		used = 0
		for _, h := range c.streams {
			used += len(h.body)
		}
		return used == window
	})
	c.grow(id, 1<<21)
	c.flush()
	if h := c.want(id, "200", ""); string(h.body) != big {
		t.Errorf("%d bytes, want %d", len(h.body), len(big))
	}
}

func TestH2AloneAndTheClientGoes(t *testing.T) {
	d, g, c, _ := alone(t)
	c.nc.Close()
	wait(t, "the end of the upstream's request", g.gone)
	d.log.wait(t, "msg", "request", "status", "499", "path", "/held")
	d.wantNothingLeft(t)
}

func TestH2AloneAndShutdown(t *testing.T) {
	d, g, c, id := alone(t)
	done := d.shut()
	c.until("GOAWAY with the last stream", func() bool { return len(c.goAways) == 2 })
	if last := c.goAways[1].LastStreamID; last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	g.let <- struct{}{}
	c.want(id, "200", "held")
	c.wantEnd(http2.ErrCodeNo)
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
}

// A request may be over before it has begun: the client resets it, or spoils the connection, in the same read.
func TestH2GoneInTheSameRead(t *testing.T) {
	for _, isAlone := range []bool{true, false} {
		name := map[bool]string{true: "alone", false: "ordinary"}[isAlone]
		begin := func(t *testing.T) (*driven, *wire, uint32) {
			d := drive(t, mixed(newGate(t).URL))
			c := d.wire(t)
			if isAlone {
				c.warm("/quick")
			} else {
				c.want(c.get("/quick"), "200", "")
			}
			return d, c, c.ask(true, "GET", "/held")
		}
		t.Run(name+", reset", func(t *testing.T) {
			d, c, id := begin(t)
			c.out.WriteRSTStream(id, http2.ErrCodeCancel)
			c.flush()
			d.log.wait(t, "msg", "request", "status", "499", "path", "/held")
			c.warm("/quick")
			if h := c.seen(id); h.status != "" || h.reset != nil {
				t.Errorf("an answer to a request that was reset: %+v", h)
			}
		})
		t.Run(name+", connection error", func(t *testing.T) {
			d, c, _ := begin(t)
			c.out.WriteData(0, true, nil)
			c.flush()
			c.wantEnd(http2.ErrCodeProtocol)
			d.log.wait(t, "msg", "request", "status", "499", "path", "/held")
			d.wantNothingLeft(t)
		})
		t.Run(name+", GOAWAY of the client", func(t *testing.T) {
			_, c, id := begin(t)
			c.out.WriteRSTStream(id, http2.ErrCodeCancel)
			c.out.WriteGoAway(0, http2.ErrCodeNo, nil)
			c.flush()
			wait(t, "the end of the connection", c.gone)
		})
	}
}
