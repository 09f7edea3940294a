package soak

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

// upstreams are the servers behind the gateway.
type upstreams struct {
	run   atomic.Pointer[run]
	open  atomic.Int64      // connections
	http2 atomic.Int64      // requests that came over HTTP/2
	urls  map[string]string // by host
	mu    sync.Mutex
	conns map[*counted]struct{}
}

// hangUp closes the connections, which are all idle.
func (u *upstreams) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		c.TCPConn.Close() // who serves it notices, and closes it properly
	}
}

// startUpstreams starts one for each host. They live as long as the test.
func startUpstreams(t testing.TB, ca *testca.CA) *upstreams {
	t.Helper()
	u := &upstreams{urls: map[string]string{}, conns: map[*counted]struct{}{}}
	cert := ca.Server(t, "upstream.test")
	secured := func(alpn ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: alpn}
	}
	u.handler(t, plainHost, nil)
	u.handler(t, h1Host, secured("http/1.1"))
	u.handler(t, h2Host, secured("h2", "http/1.1"))
	u.scripted(t, rawHost, nil)
	u.scripted(t, staleHost, nil)
	u.scripted(t, secureHost, secured("http/1.1"))
	return u
}

// listen opens the listener of a host, whose connections are counted.
func (u *upstreams) listen(t testing.TB, host string, c *tls.Config) net.Listener {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	in = &counting{in, u}
	u.urls[host] = "http://" + in.Addr().String()
	if c != nil {
		in = tls.NewListener(in, c)
		u.urls[host] = "https://" + in.Addr().String()
	}
	return in
}

type counting struct {
	net.Listener
	upstreams *upstreams
}

func (l *counting) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &counted{TCPConn: nc.(*net.TCPConn), upstreams: l.upstreams}
	l.upstreams.mu.Lock()
	defer l.upstreams.mu.Unlock()
	l.upstreams.conns[c] = struct{}{}
	l.upstreams.open.Add(1)
	return c, nil
}

type counted struct {
	*net.TCPConn
	upstreams *upstreams
	once      sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.upstreams.mu.Lock()
		defer c.upstreams.mu.Unlock()
		delete(c.upstreams.conns, c)
		c.upstreams.open.Add(-1)
	})
	return c.TCPConn.Close()
}

// setLinger finds the socket below TLS and says how its end is to be: a negative number is the usual one, 0 a reset.
func setLinger(c net.Conn, seconds int) {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	if socket, ok := c.(interface{ SetLinger(int) error }); ok {
		socket.SetLinger(seconds)
	}
}

// handler starts a server of net/http.
func (u *upstreams) handler(t testing.TB, host string, c *tls.Config) {
	in := u.listen(t, host, c)
	// What clients do to it on purpose is not to fill the log.
	srv := &http.Server{Handler: http.HandlerFunc(u.serveHTTP), TLSConfig: c.Clone(), ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(in)
	t.Cleanup(func() { srv.Close() })
}

func (u *upstreams) serveHTTP(w http.ResponseWriter, r *http.Request) {
	a := u.arrive(r)
	if a == nil {
		w.WriteHeader(599)
		return
	}
	if r.ProtoMajor == 2 {
		u.http2.Add(1)
	}
	rng := rand.New(rand.NewPCG(a.rng, 2))
	reading := reader{a: a, rng: rng, request: r}
	var got seen
	switch a.order {
	case afterContent:
		got = reading.all()
	case early:
		http.NewResponseController(w).EnableFullDuplex() // HTTP/2 has nothing else
		defer func() { a.leave(reading.all()) }()
	case duplex:
		http.NewResponseController(w).EnableFullDuplex()
		both := make(chan seen)
		reading.rng = rand.New(rand.NewPCG(a.rng, 3))
		go func() { both <- reading.all() }()
		defer func() { a.leave(<-both) }()
	}
	if a.order == afterContent {
		defer a.leave(got)
		if !got.complete {
			panic(http.ErrAbortHandler)
		}
	}
	(&answering{a: a, w: w, rng: rng, r: r}).all()
}

// arrive finds the exchange and compares what the header section says.
func (u *upstreams) arrive(r *http.Request) *attempt {
	l := u.run.Load()
	id, err := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/"), 16, 64)
	if err != nil {
		l.broke("unknown", "a request arrived with the path %q", r.URL.Path)
		return nil
	}
	a := l.arrive(id, r.Method, r.Host)
	if a == nil {
		return nil
	}
	wrong := fieldsWrong(a.fields, r.Header)
	switch {
	case r.Method != a.method || r.Host != a.host+":"+l.server.port:
		wrong = fmt.Sprintf("%s %s", r.Method, r.Host)
	case a.known && a.trailers && r.ProtoMajor == 1:
		if r.ContentLength != -1 {
			wrong = fmt.Sprintf("the length is %d, and there is no place for trailers", r.ContentLength)
		}
	case a.known && a.size > 0 && r.ContentLength != a.size:
		wrong = fmt.Sprintf("the length is %d", r.ContentLength)
	}
	if wrong != "" {
		l.fail(a.record, "the upstream: "+wrong)
	}
	return a
}

// A reader takes a request's content in.
type reader struct {
	a       *attempt
	rng     *rand.Rand
	request *http.Request
}

func (r *reader) all() (got seen) {
	c := newContent(r.a.id, ofRequest, r.a.size)
	got.bytes, got.wrong, got.err = take(r.request.Body, c, r.rng, r.a.slow, endless)
	got.complete = got.err == io.EOF
	if got.complete {
		got.trailers = r.request.Trailer.Get(trailerField)
	}
	return got
}

// take reads content in pieces of random sizes, and compares it, until it ends, is wrong, or most bytes have come.
func take(from io.Reader, c *content, rng *rand.Rand, slow bool, most int64) (n int64, wrong string, err error) {
	buf := make([]byte, 64<<10)
	piece := pieceOf(rng, c.size)
	for n < most && wrong == "" && err == nil {
		var k int
		k, err = from.Read(buf[:min(int64(piece), most-n)])
		wrong = c.check(buf[:k])
		n += int64(k)
		if slow && chance(rng, 0.1) {
			pause(rng)
		}
	}
	return n, wrong, err
}

// pieceOf makes up how large the pieces are that a content is written or read in, at most. Thousands of them do what a hundred thousand
// would do, which with a pause now and then take longer than anybody waits.
func pieceOf(rng *rand.Rand, size int64) int {
	const most = 64 << 10
	if size < 4096 && chance(rng, 0.2) {
		return 1 + rng.IntN(10)
	}
	return int(min(most, max(1+rng.Int64N(most), size/2000)))
}

// pause is what slow sides do now and then.
func pause(rng *rand.Rand) { time.Sleep(moment(rng)) }

func moment(rng *rand.Rand) time.Duration { return time.Duration(rng.IntN(5_000_000)) }

// An answering writes an answer with what net/http offers.
type answering struct {
	a   *attempt
	w   http.ResponseWriter
	r   *http.Request
	rng *rand.Rand
}

func (s *answering) all() {
	a := s.a
	if a.silent {
		<-s.r.Context().Done()
		return
	}
	for i := range a.informs {
		s.w.Header().Set(idField, a.idText())
		s.w.Header().Set("Link", fmt.Sprintf("</%d>; rel=preload", i))
		s.w.WriteHeader(http.StatusEarlyHints)
	}
	if a.serverCut == beforeAnswer {
		s.vanish()
	}
	h := s.w.Header()
	h.Del("Link")
	h.Set(idField, a.idText())
	for _, f := range a.answerFields {
		h.Set(f.name, f.value)
	}
	if a.answerTrailers {
		h.Set("Trailer", trailerField)
	}
	if a.framing == byLength && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", fmt.Sprint(a.answerSize))
	}
	if a.due() == 0 && a.serverCut == whole {
		a.answered.Store(true)
	}
	s.w.WriteHeader(a.status)
	if !a.bodyless() {
		s.content()
	}
}

func (s *answering) content() {
	a := s.a
	c := newContent(a.id, ofAnswer, a.answerSize)
	control := http.NewResponseController(s.w)
	if a.framing == chunked || chance(s.rng, 0.3) {
		control.Flush()
	}
	most := c.size
	if a.serverCut == inContent {
		most = a.serverAt
	}
	piece := pieceOf(s.rng, c.size)
	for c.at < most {
		p := c.next(int(min(int64(1+s.rng.IntN(piece)), most-c.at)))
		if c.left() == 0 && a.serverCut == whole {
			a.answered.Store(true)
		}
		if _, err := s.w.Write(p); err != nil {
			s.refused(c.at, err)
			return
		}
		if chance(s.rng, 0.2) {
			control.Flush()
		}
		if a.slowAnswer && chance(s.rng, 0.1) {
			pause(s.rng)
		}
	}
	if a.serverCut == inContent {
		if chance(s.rng, 0.8) {
			control.Flush()
		}
		s.vanish()
	}
	if a.answerTrailers {
		s.w.Header().Set(trailerField, a.trailerOf(ofAnswer))
	}
}

// refused: the gateway takes no more of the answer.
func (s *answering) refused(at int64, err error) {
	refused(s.a, at, err)
	panic(http.ErrAbortHandler)
}

func refused(a *attempt, at int64, err error) {
	if !a.gone.Load() && a.clientCut != inContent {
		a.run.fail(a.record, fmt.Sprintf("the upstream: the gateway takes no more than %d bytes of the answer, but the client is there: %v", at, err))
	}
}

// vanish breaks off; it does not return.
func (s *answering) vanish() {
	if s.a.serverAbrupt && s.r.ProtoMajor == 1 {
		if c, _, err := http.NewResponseController(s.w).Hijack(); err == nil {
			setLinger(c, 0)
			c.Close()
		}
	}
	panic(http.ErrAbortHandler)
}
