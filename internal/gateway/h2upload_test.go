package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

const (
	// What the server grants at first, to a stream and to a connection (see h2.Config).
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
)

// upload sends content as the windows allow, and calls full whenever one is used up, with a way to ask whether it is no more.
func (c *wire) upload(id uint32, text string, full func(grown func() bool)) {
	c.t.Helper()
	const frame = 16 << 10
	c.mu.Lock()
	connection := connectionWindow - 65535 - c.window // the connection's grows by WINDOW_UPDATE alone
	c.mu.Unlock()
	for sent := 0; sent < len(text); {
		room := func() int {
			stream := streamWindow - sent
			if h := c.streams[id]; h != nil {
				stream += h.window
			}
			return min(stream, connection+c.window+65535-sent, frame, len(text)-sent)
		}
		c.mu.Lock()
		n := room()
		c.mu.Unlock()
		if n <= 0 {
			full(func() bool { c.mu.Lock(); defer c.mu.Unlock(); return room() > 0 })
			c.until("a larger window", func() bool { n = room(); return n > 0 })
		}
		c.data(id, sent+n == len(text), []byte(text[sent:sent+n]))
		sent += n
	}
}

// The windows grow as the upstream reads, and not before.
func TestH2UploadBeyondTheWindow(t *testing.T) {
	asked, let := make(chan struct{}, 1), make(chan struct{}, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-let
		text, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(text) == strings.Repeat(big, 16), " ", len(text), " ", err)
	})
	d := drive(t, mixed(up.URL))
	for _, length := range []string{"", fmt.Sprint(16 << 20)} {
		c := d.wire(t)
		c.until("the server's window", func() bool { return c.window > 0 })
		var fields []string
		if length != "" {
			fields = []string{"content-length", length}
		}
		id := c.ask(false, "POST", "/", fields...)
		c.flush()
		wait(t, "the request", asked)
		stopped := false
		c.upload(id, strings.Repeat(big, 16), func(func() bool) {
			if held := d.budget.held.Load(); held > streamWindow {
				t.Errorf("%d bytes are held, and the window is %d", held, streamWindow)
			}
			if !stopped {
				stopped = true
				let <- struct{}{}
			}
		})
		c.want(id, "200", "true 16777216 <nil>")
		c.want(c.get("/fixed"), "200", "fixed\n")
	}
}

// An upstream that takes nothing more stops the client's stream, and only that.
func TestH2UploadThatIsNotRead(t *testing.T) {
	asked, let := make(chan struct{}, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(let) })
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-let
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	t.Cleanup(release)
	d := drive(t, mixed(up.URL))
	c, other := d.wire(t), d.wire(t)
	c.until("the server's window", func() bool { return c.window > 0 })
	id := c.ask(false, "POST", "/")
	c.flush()
	wait(t, "the request", asked)
	const length = 64 << 20 // more than the buffers of the sockets between gateway and upstream take
	c.upload(id, strings.Repeat(big, length>>20), func(grown func() bool) {
		// What was used up is told to the client when it is half of a window.
		stopped := func() bool { return d.budget.held.Load() >= streamWindow/2 }
		eventually(t, "the client is stopped, or not any more", func() bool { return grown() || stopped() })
		if held := d.budget.held.Load(); held > streamWindow {
			t.Errorf("%d bytes are held, and the window is %d", held, streamWindow)
		}
		if !grown() {
			other.want(other.get("/fixed"), "200", "fixed\n")
			c.want(c.get("/fixed"), "200", "fixed\n")
			release()
		}
	})
	c.want(id, "200", fmt.Sprint(length))
	select {
	case <-let:
	default:
		t.Error("the upstream read nothing, and everything was taken")
	}
}

// Requests whose content has gone to the upstream do not use the connection's window up while they wait for their answers.
func TestH2UploadsThatWait(t *testing.T) {
	const many, size = 30, 60_000 // more than the window together
	all := make(chan struct{})
	var come sync.WaitGroup
	come.Add(many)
	go func() {
		come.Wait()
		close(all)
	}()
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		come.Done()
		select {
		case <-all:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, string(text) == strings.Repeat(r.URL.Query().Get("x"), size), " ", err)
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	c.until("the server's window", func() bool { return c.window > 0 })
	var ids []uint32
	sent := 0
	for i := range many {
		letter := string(rune('A' + i))
		id := c.ask(false, "POST", "/?x="+letter, "content-length", fmt.Sprint(size))
		ids = append(ids, id)
		for rest := size; rest > 0; {
			n := min(rest, 16<<10)
			c.until("a larger window", func() bool { return sent+n <= 65535+c.window })
			c.data(id, n == rest, []byte(strings.Repeat(letter, n)))
			rest, sent = rest-n, sent+n
		}
	}
	for _, id := range ids {
		c.want(id, "200", "true <nil>")
	}
}

// RFC 9113 section 8.1: "A server can send a complete response prior to the client sending an entire request if the response does not
// depend on any portion of the request that has not been sent and received. When this is true, a server MAY request that the client
// abort transmission of a request without error by sending a RST_STREAM with an error code of NO_ERROR after sending a complete
// response (i.e., a frame with the END_STREAM flag set)."
func TestH2EarlyAnswer(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // else the server reads some of the content before it answers
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
		io.WriteString(w, "too much")
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	c.until("the server's window", func() bool { return c.window > 0 })
	hc := d.conn(t)
	for _, fields := range [][]string{nil, {"content-length", "10000000"}, {"content-length", "10000000", "expect", "100-continue"}} {
		id := c.ask(false, "POST", "/", fields...)
		c.data(id, false, []byte(big[:10_000]))
		c.want(id, "413", "too much")
		// What comes before the exchange is over in its goroutine does not count as thrown away.
		eventually(t, "the exchange is over", func() bool {
			hc.mu.Lock()
			defer hc.mu.Unlock()
			return hc.running == 0
		})
		// A little more is taken in, so that a client which is about to end may do so.
		c.data(id, false, []byte(big[:10_000]))
		c.ping()
		if h := c.seen(id); h.reset != nil {
			t.Errorf("%q: reset with %v", fields, *h.reset)
		}
		for range 5 {
			c.data(id, false, []byte(big[:16_000]))
		}
		c.wantReset(id, http2.ErrCodeNo)
		c.mu.Lock()
		order := slices.Clone(c.order) // more may come
		c.mu.Unlock()
		end, reset := -1, slices.Index(order, fmt.Sprintf("RST_STREAM %d", id))
		for i, frame := range order {
			if frame == fmt.Sprintf("DATA %d", id) {
				end = i
			}
		}
		if end > reset {
			t.Errorf("%q: the answer ends after the reset: %v", fields, order)
		}
		// The rest of what was on its way is thrown away, and does not use the connection's window up.
		c.data(id, true, []byte(big[:100]))
		c.want(c.get("/fixed"), "200", "fixed\n")
	}
	for range 30 {
		id := c.ask(false, "POST", "/fixed")
		c.data(id, false, []byte(big[:60_000]))
		c.want(id, "200", "fixed\n")
		c.data(id, true, nil)
	}
	c.until("WINDOW_UPDATE", func() bool { return c.window > connectionWindow })
}
