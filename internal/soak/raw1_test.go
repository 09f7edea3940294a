package soak

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// raw1 is a client of HTTP/1.1 that writes in pieces that nobody would choose, and vanishes in every way.
type raw1 struct {
	session *session
	nc      *tls.Conn
	r       *bufio.Reader
}

func openRaw1(s *session) (client, error) {
	nc, err := dial(s, pick(s.rng, hosts), "http/1.1")
	if err != nil {
		return nil, err
	}
	return &raw1{s, nc, bufio.NewReader(nc)}, nil
}

// dial makes a connection for a host.
func dial(s *session, host, alpn string) (*tls.Conn, error) {
	d := &net.Dialer{Timeout: patience}
	nc, err := tls.DialWithDialer(d, "tcp", s.run.server.address, s.run.server.tls(host, alpn))
	if err != nil {
		return nil, err
	}
	if got := nc.ConnectionState().NegotiatedProtocol; got != alpn {
		nc.Close()
		return nil, fmt.Errorf("the protocol is %q", got)
	}
	return nc, nil
}

func (c *raw1) close() { c.nc.Close() }

func (c *raw1) kill() { c.hangUp(true) }

// hangUp closes the connection without a word of TLS.
func (c *raw1) hangUp(abrupt bool) {
	if abrupt {
		setLinger(c.nc, 0)
	}
	c.nc.NetConn().Close()
}

func (c *raw1) do(r *record) seen {
	c.nc.SetDeadline(time.Now().Add(patience))
	timer := time.NewTimer(patience)
	if r.clientCut == receiving && r.clientAt == 0 {
		soon := time.Duration(rand.New(rand.NewPCG(r.rng, 7)).IntN(20_000_000))
		timer = time.AfterFunc(soon, func() { c.giveUp(r) })
	}
	up := &raw1Upload{record: r, client: c, rng: rand.New(rand.NewPCG(r.rng, 8)), goOn: make(chan struct{}), done: make(chan struct{})}
	go up.run()
	down := &raw1Download{record: r, client: c, rng: rand.New(rand.NewPCG(r.rng, 9)), upload: up}
	down.run()
	if down.got.complete {
		select {
		case <-up.done:
		case <-time.After(100 * time.Millisecond):
			c.giveUp(r) // answered early: the rest is of no use to anybody
		}
	}
	// HTTP/1.1 has nothing but the connection to end an exchange with.
	if stopped := timer.Stop(); !stopped || down.closes || !down.got.complete || r.gone.Load() {
		down.got.last = true
		c.nc.NetConn().Close() // no writer stays behind
	}
	<-up.done
	return down.got
}

func (c *raw1) giveUp(r *record) {
	r.gone.Store(true)
	c.hangUp(r.abrupt)
}

// A raw1Upload sends a request.
type raw1Upload struct {
	*record
	client *raw1
	rng    *rand.Rand
	goOn   chan struct{} // closed when the server has said 100 or more
	done   chan struct{}
	failed error
}

func (u *raw1Upload) run() {
	defer close(u.done)
	if u.size == 0 && u.known {
		u.sent.Store(true)
	}
	u.write(u.header())
	if u.expect {
		select {
		case <-u.goOn:
		case <-time.After(time.Second):
		}
	}
	c := newContent(u.id, ofRequest, u.size)
	most := u.size
	if u.clientCut == inContent {
		most = u.clientAt
	}
	piece := pieceOf(u.rng, u.size)
	for c.at < most && u.failed == nil {
		p := c.next(int(min(int64(1+u.rng.IntN(piece)), most-c.at)))
		if c.left() == 0 && u.known && u.clientCut != inContent {
			u.sent.Store(true)
		}
		u.write(u.frame(p))
	}
	switch {
	case u.clientCut == inContent:
		u.client.giveUp(u.record)
	case !u.known:
		u.last()
	}
}

func (u *raw1Upload) header() []byte {
	b := fmt.Appendf(nil, "%s /%s HTTP/1.1\r\nHost: %s:%s\r\n", u.method, u.idText(), u.host, u.client.session.run.server.port)
	for _, f := range u.fields {
		b = fmt.Appendf(b, "%s: %s\r\n", f.name, f.value)
	}
	switch {
	case !u.known:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case u.size > 0 || u.method == "POST" || u.method == "PUT":
		b = fmt.Appendf(b, "Content-Length: %d\r\n", u.size)
	}
	if u.trailers {
		b = fmt.Appendf(b, "Trailer: %s\r\n", trailerField)
	}
	if u.expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return append(b, "\r\n"...)
}

func (u *raw1Upload) frame(p []byte) []byte {
	if u.known {
		return p
	}
	b := fmt.Appendf(make([]byte, 0, len(p)+16), "%x\r\n", len(p))
	b = append(b, p...)
	return append(b, "\r\n"...)
}

func (u *raw1Upload) last() {
	u.sent.Store(true)
	b := []byte("0\r\n")
	if u.trailers {
		b = fmt.Appendf(b, "%s: %s\r\n", trailerField, u.trailerOf(ofRequest))
	}
	u.write(append(b, "\r\n"...))
}

func (u *raw1Upload) write(b []byte) {
	for len(b) > 0 && u.failed == nil {
		n := len(b)
		if chance(u.rng, 0.3) {
			n = 1 + u.rng.IntN(n)
		}
		_, u.failed = u.client.nc.Write(b[:n])
		b = b[n:]
		if u.slow && chance(u.rng, 0.1) {
			pause(u.rng)
		}
	}
}

// A raw1Download receives an answer.
type raw1Download struct {
	*record
	client *raw1
	rng    *rand.Rand
	upload *raw1Upload
	got    seen
	closes bool
}

func (d *raw1Download) run() {
	w := d.header()
	if w == nil {
		return
	}
	defer w.Body.Close()
	d.closes = w.Close
	d.got.header(d.record, w)
	if d.got.own {
		n, err := io.Copy(io.Discard, w.Body)
		d.got.bytes, d.got.complete, d.got.err = n, err == nil, err
		return
	}
	most := int64(endless)
	if d.clientCut == receiving && d.clientAt > 0 {
		most = d.clientAt
	}
	n, wrong, err := take(w.Body, newContent(d.id, ofAnswer, d.due()), d.rng, d.slow, most)
	d.got.content(n, wrong, err)
	if most != endless && err == nil {
		d.client.giveUp(d.record)
		return
	}
	if d.got.complete {
		d.got.trailers = w.Trailer.Get(trailerField)
	}
}

// header reads up to the final header section; nil: there is none.
func (d *raw1Download) header() *http.Response {
	proceed := true
	for {
		w, err := http.ReadResponse(d.client.r, &http.Request{Method: d.method})
		if proceed {
			close(d.upload.goOn)
			proceed = false
		}
		if err != nil {
			d.got.err = err
			return nil
		}
		switch {
		case w.StatusCode >= 200:
			return w
		case w.StatusCode != http.StatusContinue:
			d.got.informs++
			d.got.informWrong(d.record, w.StatusCode, w.Header)
		}
	}
}
