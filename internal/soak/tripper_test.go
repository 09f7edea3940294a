package soak

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A tripper is a client that stands on an http.RoundTripper.
type tripper struct {
	session *session
	rt      http.RoundTripper
	end     func()
	patient bool // it does not give a request up whose answer may be about to begin

	mu    sync.Mutex
	conns []func() // that end a connection at once
	dead  bool
}

// opened notes a connection for kill.
func (c *tripper) opened(end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		end()
	}
	c.conns = append(c.conns, end)
}

func (c *tripper) close() { c.end() }

func (c *tripper) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, end := range c.conns {
		end()
	}
}

func (c *tripper) transport() *http.Transport {
	s := c.session
	abrupt := chance(s.rng, 0.5)
	t := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: s.run.server.pool},
		Protocols:          new(http.Protocols),
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, s.run.server.address)
			if err == nil {
				c.opened(func() {
					if abrupt {
						setLinger(nc, 0)
					}
					nc.Close()
				})
			}
			return nc, err
		},
	}
	c.rt, c.end = t, t.CloseIdleConnections
	return t
}

func openHTTP1(s *session) (client, error) {
	c := &tripper{session: s}
	c.transport().Protocols.SetHTTP1(true)
	return c, nil
}

func openHTTP2(s *session) (client, error) {
	c := &tripper{session: s}
	t := c.transport()
	t.Protocols.SetHTTP2(true)
	t.HTTP2 = &http.HTTP2Config{
		MaxReadFrameSize:              pick(s.rng, []int{0, 1 << 14, 1 << 16, 1 << 20}),
		MaxReceiveBufferPerConnection: pick(s.rng, []int{0, 1 << 16, 1 << 20}),
		MaxReceiveBufferPerStream:     pick(s.rng, []int{0, 1000, 1 << 14, 1 << 16, 1 << 18}),
		MaxDecoderHeaderTableSize:     pick(s.rng, []int{0, 100, 1 << 16}),
		MaxEncoderHeaderTableSize:     pick(s.rng, []int{0, 100, 1 << 16}),
	}
	// net/http's client gives the connection's window back when the body of an answer is closed. Where a request is given up while the
	// header section of its answer comes, nobody gets the body: what of it has come is lost to the window, which is used up in the end,
	// and the connection stalls, with any server. By default that window is 1 GiB.
	c.patient = t.HTTP2.MaxReceiveBufferPerConnection != 0
	return c, nil
}

func openHTTP3(s *session) (client, error) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveUDPAddr("udp", s.run.server.address)
	if err != nil {
		return nil, err
	}
	c := &tripper{session: s}
	socket := &quic.Transport{Conn: pc}
	mute := chance(s.rng, 0.3) // vanishes without a word
	window := pick(s.rng, []uint64{2000, 1 << 16, 1 << 19})
	t := &http3.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: s.run.server.pool},
		DisableCompression: true,
		// By default a client of quic-go gives a handshake up after 5 seconds without a packet, which is less than all others have.
		QUICConfig: &quic.Config{HandshakeIdleTimeout: patience, InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window * 2,
			InitialConnectionReceiveWindow: 4 * window, MaxConnectionReceiveWindow: 8 * window},
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			q, err := socket.DialEarly(ctx, at, tlsConfig, config)
			if err == nil {
				c.opened(func() {
					if mute {
						pc.Close()
					}
					q.CloseWithError(0, "")
				})
			}
			return q, err
		},
	}
	c.rt = t
	c.end = func() {
		t.Close()
		socket.Close()
		pc.Close()
	}
	return c, nil
}

// A trip is one exchange of a tripper.
type trip struct {
	*record
	client *tripper
	rng    *rand.Rand
	cancel context.CancelFunc
	mu     sync.Mutex
	got    seen
}

func (c *tripper) do(r *record) seen {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	x := &trip{record: r, client: c, rng: rand.New(rand.NewPCG(r.rng, 5)), cancel: cancel}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: x.inform})
	if x.clientCut == receiving && x.clientAt == 0 && (x.silent || !c.patient) {
		timer := time.AfterFunc(time.Duration(x.rng.IntN(20_000_000)), x.giveUp)
		defer timer.Stop()
	}
	request, err := x.request(ctx)
	if err != nil {
		return seen{wrong: err.Error()}
	}
	w, err := c.rt.RoundTrip(request)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.got.err = err
		return x.got
	}
	x.answer(w)
	w.Body.Close()
	return x.got
}

// giveUp ends the exchange from the client's side.
func (x *trip) giveUp() {
	x.gone.Store(true)
	x.cancel()
}

func (x *trip) inform(code int, h textproto.MIMEHeader) error {
	if code != http.StatusContinue {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.got.informs++
		x.got.informWrong(x.record, code, http.Header(h))
	}
	return nil
}

// informWrong looks at an interim answer.
func (g *seen) informWrong(r *record, code int, h http.Header) {
	if code != http.StatusEarlyHints || h.Get(idField) != r.idText() || h.Get("Link") == "" {
		g.wrong = "an interim answer of somebody else"
	}
}

func (x *trip) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	up := &upload{record: x.record, rng: rand.New(rand.NewPCG(x.rng.Uint64(), 6)), content: newContent(x.id, ofRequest, x.size)}
	if x.size > 0 || !x.known {
		body = io.NopCloser(up)
	} else {
		x.sent.Store(true)
	}
	s := x.client.session
	r, err := http.NewRequestWithContext(ctx, x.method, "https://"+x.host+":"+s.run.server.port+"/"+x.idText(), body)
	if err != nil {
		return nil, err
	}
	for _, f := range x.fields {
		r.Header.Set(f.name, f.value)
	}
	if r.ContentLength = x.size; !x.known {
		r.ContentLength = -1
	}
	if x.trailers {
		r.Trailer = http.Header{trailerField: nil}
		up.trailer = r.Trailer
	}
	return r, nil
}

// answer reads it, once its header section is there.
func (x *trip) answer(w *http.Response) {
	x.got.header(x.record, w)
	if x.got.own {
		n, err := io.Copy(io.Discard, w.Body)
		x.got.bytes, x.got.complete, x.got.err = n, err == nil, err
		return
	}
	most := int64(endless)
	if x.clientCut == receiving && x.clientAt > 0 {
		most = x.clientAt
	}
	n, wrong, err := take(w.Body, newContent(x.id, ofAnswer, x.due()), x.rng, x.slow, most)
	x.got.content(n, wrong, err)
	if most != endless && err == nil {
		x.giveUp()
		return
	}
	if x.got.complete {
		x.got.trailers = w.Trailer.Get(trailerField)
	}
}

// header looks at the header section of an answer.
func (g *seen) header(r *record, w *http.Response) {
	g.status = w.StatusCode
	id := w.Header.Values(idField)
	if len(id) == 0 {
		g.own = true
		return
	}
	if wrong := fieldsWrong(r.answerFields, w.Header); wrong != "" {
		g.wrong = wrong
	}
	if len(id) != 1 || id[0] != r.idText() {
		g.wrong = "an answer of somebody else"
	}
	if w.ContentLength > 0 && w.ContentLength != r.answerSize {
		g.wrong = "a wrong length"
	}
}

// content notes how reading has ended.
func (g *seen) content(n int64, wrong string, err error) {
	g.bytes, g.complete, g.err = n, err == io.EOF, err
	if g.wrong == "" {
		g.wrong = wrong
	}
}

var errGone = errors.New("the client goes, on purpose")

// An upload is the content that a client of net/http sends.
type upload struct {
	*record
	rng     *rand.Rand
	content *content
	trailer http.Header
}

func (u *upload) Read(p []byte) (int, error) {
	if u.slow && chance(u.rng, 0.1) {
		pause(u.rng)
	}
	most := u.size
	if u.clientCut == inContent {
		if most = u.clientAt; u.content.at == most {
			u.gone.Store(true)
			return 0, errGone
		}
	}
	n := min(int64(1+u.rng.IntN(len(p))), most-u.content.at)
	if u.content.at+n == u.size && u.clientCut != inContent {
		u.sent.Store(true)
		for name := range u.trailer {
			u.trailer.Set(name, u.trailerOf(ofRequest))
		}
	}
	n = int64(copy(p, u.content.next(int(n))))
	if u.content.left() == 0 && u.clientCut != inContent {
		return int(n), io.EOF
	}
	return int(n), nil
}
