package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// What all clients have sent and nobody has read is bounded: beyond that, connections that have a part in it are not read until some of it
// is gone. The others are not made to suffer for it.
func TestH2Budget(t *testing.T) {
	read := make(chan string, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		read <- string(text)
	})
	d := drive(t, mixed(up.URL))
	upload := func(w *wire) {
		t.Helper()
		id := w.ask(false, "POST", "/")
		w.data(id, true, []byte(big[:50_000]))
		w.want(id, "200", "")
		if got := wait(t, "the content", read); got != big[:50_000] {
			t.Errorf("the upstream read %d bytes", len(got))
		}
	}
	guilty := d.wire(t)
	guilty.want(guilty.get("/fixed"), "200", "fixed\n")
	guilty.ping() // our acknowledgement of SETTINGS is through
	hc := d.conn(t)
	keep := func(n int) {
		hc.mu.Lock()
		hc.keep(n)
		hc.mu.Unlock()
	}
	other := d.wire(t)
	keep(maxHeld + 1)
	giveBack := sync.OnceFunc(func() { keep(-maxHeld - 1) })
	t.Cleanup(giveBack)
	guilty.get("/fixed") // a connection looks behind each read: the one that was under way is the last
	eventually(t, "it is held back", func() bool { return goroutinesIn("(*h2conn).holdBack(", "") == 1 })
	id := guilty.get("/fixed")
	for range 3 {
		other.want(other.get("/fixed"), "200", "fixed\n")
		upload(other)
	}
	time.Sleep(20 * budgetEvery) // nothing is to happen
	if h := guilty.seen(id); h.status != "" {
		t.Errorf("answered beyond the budget: %s", h.status)
	}
	giveBack()
	guilty.want(id, "200", "fixed\n")
	upload(guilty)
	eventually(t, "nothing is held", func() bool { return d.budget.held.Load() == 0 && hc.unreadNow() == 0 })
}

// That a frame is not complete because nobody reads is not the client's doing.
func TestH2BudgetInTheMiddleOfAFrame(t *testing.T) {
	patiently(t, 200*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
		d := drive(t, mixed("http://"+deadAddress(t))+fmt.Sprintf("timeouts: {header: %v}\n", limit))
		c := d.wire(t)
		if !c.pinged() { // our acknowledgement of SETTINGS is through
			return false
		}
		eventually(t, "the connection is read", func() bool { return goroutinesIn("(*h2conn).read(", "[IO wait") == 1 })
		hc := d.conn(t)
		keep := func(n int) {
			hc.mu.Lock()
			defer hc.mu.Unlock()
			hc.keep(n)
		}
		keep(maxHeld + 1)
		giveBack := sync.OnceFunc(func() { keep(-maxHeld - 1) })
		t.Cleanup(giveBack)
		id := c.ask(true, "GET", "/fixed")
		rest := bytes.Clone(c.queue.Bytes()[c.queue.Len()-3:])
		c.queue.Truncate(c.queue.Len() - 3)
		c.flush()
		eventually(t, "it is held back", func() bool { return goroutinesIn("(*h2conn).holdBack(", "") == 1 })
		c.queue.Write(rest)
		c.flush()
		time.Sleep(limit + limit/2) // nothing is to happen
		giveBack()
		if !c.ends(id) {
			return false // the limit has passed before what was there was read
		}
		c.want(id, "200", "fixed\n")
		return true
	})
}

func (c *h2conn) unreadNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unread
}

// A connection that is held back can be closed, and what it holds goes on.
func TestH2BudgetAndClose(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	c.ping()
	eventually(t, "the connection is read", func() bool { return goroutinesIn("(*h2conn).read(", "[IO wait") == 1 })
	d.budget.add(maxHeld + 1)
	t.Cleanup(func() { d.budget.add(-maxHeld - 1) }) // before the check that nothing is left
	c.data(c.ask(false, "POST", "/held", "content-length", "9"), false, []byte("hello"))
	wait(t, "the request", g.asked)
	d.srv.close()
	d.log.wait(t, "msg", "request", "status", "499")
	eventually(t, "the connection is forgotten", func() bool {
		d.srv.mu.Lock()
		defer d.srv.mu.Unlock()
		return len(d.srv.conns) == 0
	})
}

// Content that nobody will read any more is no part of it.
func TestH2BudgetIsGivenBack(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	for _, end := range []func(id uint32){
		func(id uint32) { g.let <- struct{}{}; c.want(id, "200", "held") }, // an early answer
		func(id uint32) { c.out.WriteRSTStream(id, http2.ErrCodeCancel); c.flush() },
		func(id uint32) { c.data(id, false, []byte(big[:60_000])); c.wantReset(id, http2.ErrCodeProtocol) }, // too much
	} {
		id := c.ask(false, "POST", "/held", "content-length", "100000")
		c.data(id, false, []byte(big[:50_000]))
		wait(t, "the request", g.asked)
		end(id)
		eventually(t, "nothing is held", func() bool { return d.budget.held.Load() == 0 })
	}
	// Held before it is passed on.
	id := c.ask(false, "POST", "/held", "content-length", "60000")
	c.data(id, false, []byte(big[:50_000]))
	c.nc.Close()
	d.wantNothingLeft(t)
}
