package gateway

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

// Content that was passed on to upstreams that think about it is bounded too: beyond that, a connection may have one request with
// content, and more are answered 503. What has no content goes on.
func TestBudgetOfContentPassedOn(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	d.budget.lent.Add(maxLent)
	t.Cleanup(func() { d.budget.lent.Add(-maxLent) })
	post := func(c *wire) uint32 {
		id := c.ask(false, "POST", "/held", "content-length", "5")
		c.data(id, true, []byte("hello"))
		return id
	}
	c, other := d.wire(t), d.wire(t)
	first := post(c)
	wait(t, "the request", g.asked)
	second := post(other)
	wait(t, "the request", g.asked)
	for range 3 {
		c.want(post(c), "503", "503 Service Unavailable\n")
		c.want(c.get("/quick"), "200", "/quick")
		other.want(post(other), "503", "")
	}
	g.let <- struct{}{}
	g.let <- struct{}{}
	c.want(first, "200", "held")
	other.want(second, "200", "held")
	eventually(t, "it is given back", func() bool { return d.budget.lent.Load() == maxLent })
	id := post(c)
	wait(t, "the request", g.asked)
	g.let <- struct{}{}
	c.want(id, "200", "held")
}

// Over the other protocols a connection may have one request with content then, too. (Over HTTP/3 none had, as connections were not told
// from one another: a few clients could keep all others from sending content.)
func TestBudgetOfContentPassedOnOtherProtocols(t *testing.T) {
	up := newUpstreamServer(t, echo)
	r := newFolder(t).start(t, strings.Replace(mixed(up.URL), "[h1, h2]", "[h1, h2, h3]", 1))
	r.budget.lent.Add(maxLent)
	t.Cleanup(func() { r.budget.lent.Add(-maxLent) })
	for _, proto := range []string{"h1", "h3"} {
		c := r.client(t, proto, "tls", "a.test.example")
		c.do(t, c.request(t, "POST", "a.test.example", "/", strings.NewReader("hello"))).want(t, 200, "hello")
		c.get(t, "a.test.example", "/").want(t, 200, "")
	}
	eventually(t, "it is given back", func() bool { return r.budget.lent.Load() == maxLent })
}

// However a request ends, what it had is given back.
func TestBudgetOfContentPassedOnIsGivenBack(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL))
	c := d.wire(t)
	for _, end := range []func(id uint32){
		func(id uint32) { g.let <- struct{}{}; c.want(id, "200", "held") }, // an early answer
		func(id uint32) { c.out.WriteRSTStream(id, http2.ErrCodeCancel); c.flush() },
		func(id uint32) { c.nc.Close() },
	} {
		id := c.ask(false, "POST", "/held")
		c.data(id, false, []byte("hello"))
		wait(t, "the request", g.asked)
		if got := d.budget.lent.Load(); got != keptContent {
			t.Errorf("%d bytes are counted for content of no known length", got)
		}
		end(id)
		eventually(t, "it is given back", func() bool { return d.budget.lent.Load() == 0 })
	}
}

func TestLentFor(t *testing.T) {
	body := new(h2exchange)
	for _, test := range []struct {
		request message.Request
		want    int64
	}{
		{message.Request{Method: "GET"}, 0},
		{message.Request{Method: "GET", Target: "/", Fields: message.Fields{{Name: "cookie", Value: big[:6<<10]}}}, 0},
		{message.Request{Method: "GET", Target: "/", Fields: message.Fields{{Name: "cookie", Value: big[:20_000]}}}, 20_007},
		{message.Request{Method: "POST", Target: big[:10_000], Length: 7, Body: body}, 10_007},
		{message.Request{Method: "POST", Length: 7, Body: body}, 7},
		{message.Request{Method: "POST", Length: 1 << 40, Body: body}, keptContent},
		{message.Request{Method: "POST", Length: -1, Body: body}, keptContent},
		{message.Request{Method: http.MethodConnect, Length: -1, Body: body}, 0},
	} {
		if got := lentFor(&test.request); got != test.want {
			t.Errorf("%s with %d: %d, want %d", test.request.Method, test.request.Length, got, test.want)
		}
	}
}

// A buffer that has had to grow is let go when all that it held was read: the next content may be long in coming.
func TestH2ExchangeLetsGoOfLargeBuffers(t *testing.T) {
	c := &h2conn{server: &tcpServer{gateway: new(Gateway)}}
	rq := &h2exchange{c: c, readable: newWaiter(), lost: true} // nobody is told that it was used up
	rq.exchange.request = new(message.Request)
	for _, test := range []struct{ size, most int }{{keptContent, keptContent}, {3 * keptContent, 0}} {
		rq.take(make([]byte, test.size))
		p := make([]byte, keptContent)
		for left := test.size; left > 0; {
			n, err := rq.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			left -= n
		}
		if got := cap(rq.content); got > test.most {
			t.Errorf("%d bytes are kept after %d", got, test.size)
		}
	}
}
