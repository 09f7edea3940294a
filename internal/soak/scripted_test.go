package soak

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// scripted starts an upstream of HTTP/1.1 that writes its answers itself: in pieces that nobody would choose, framed in every way,
// and broken off in every place.
func (u *upstreams) scripted(t testing.TB, host string, c *tls.Config) {
	in := u.listen(t, host, c)
	go func() {
		for {
			nc, err := in.Accept()
			if err != nil {
				return
			}
			go u.converse(nc)
		}
	}()
}

// converse serves a connection.
func (u *upstreams) converse(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			if !ended(err) {
				u.run.Load().broke("unknown", "an upstream cannot read a request: %v", err)
			}
			return
		}
		a := u.arrive(request)
		if a == nil {
			return
		}
		s := &script{a: a, c: c, r: r, request: request, rng: rand.New(rand.NewPCG(a.rng, 2))}
		if !s.play() {
			return
		}
	}
}

// ended says that a connection has ended, in whatever way.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// A script is one exchange on a connection of a scripted upstream.
type script struct {
	a       *attempt
	c       net.Conn
	r       *bufio.Reader
	request *http.Request
	rng     *rand.Rand
	failed  error // of writing
}

// play reports whether the connection can go on.
func (s *script) play() bool {
	if s.request.Header.Get("Expect") != "" && s.a.order == afterContent && chance(s.rng, 0.7) {
		s.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	reading := reader{a: s.a, rng: s.rng, request: s.request}
	var got seen
	var on bool
	switch s.a.order {
	case afterContent:
		got = reading.all()
		on = got.complete && s.answer()
	case early:
		on = s.answer()
		if s.failed == nil && s.a.lastAnswer && s.a.serverCut == whole {
			// What is not read when a socket is closed destroys what it has sent.
			s.c.(interface{ CloseWrite() error }).CloseWrite()
		}
		if s.a.serverCut == whole {
			got = reading.all()
		}
	case duplex:
		both := make(chan seen)
		reading.rng = rand.New(rand.NewPCG(s.a.rng, 3))
		go func() { both <- reading.all() }()
		on = s.answer()
		if s.a.serverCut != whole {
			s.vanish()
		}
		got = <-both
	}
	s.a.leave(got)
	if s.a.serverCut != whole {
		s.vanish()
	}
	return on && got.complete
}

// vanish closes the connection, over TLS without an alert.
func (s *script) vanish() {
	if s.a.serverAbrupt {
		setLinger(s.c, 0)
	}
	if secured, ok := s.c.(*tls.Conn); ok {
		secured.NetConn().Close()
	}
	s.c.Close()
}

// answer reports whether the connection can carry another exchange.
func (s *script) answer() bool {
	a := s.a
	switch {
	case a.silent:
		// The connection ends when the client is gone; nothing is sent on it before.
		s.r.ReadByte()
		return false
	case a.serverCut == beforeAnswer:
		return false
	}
	for i := range a.informs {
		s.write(fmt.Appendf(nil, "HTTP/1.1 103 Early Hints\r\n%s: %s\r\nLink: </%d>; rel=preload\r\n\r\n", idField, a.idText(), i))
	}
	head := s.header()
	if a.serverCut == inHeader {
		s.write(head[:min(int(a.serverAt), len(head)-1)])
		return false
	}
	if a.due() == 0 && a.framing != chunked && a.serverCut == whole || a.bodyless() {
		a.answered.Store(true)
	}
	s.write(head)
	if !a.bodyless() {
		s.content()
	}
	if a.hangsUp {
		time.Sleep(time.Duration(s.rng.IntN(2_000_000)))
	}
	return s.failed == nil && a.serverCut == whole && !a.lastAnswer && !a.hangsUp
}

func (s *script) header() []byte {
	a := s.a
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%s: %s\r\n", a.status, http.StatusText(a.status), idField, a.idText())
	for _, f := range a.answerFields {
		b = fmt.Appendf(b, "%s: %s\r\n", f.name, f.value)
	}
	switch {
	case a.status == http.StatusNoContent || a.status == http.StatusNotModified:
	case a.framing == byLength:
		b = fmt.Appendf(b, "Content-Length: %d\r\n", a.answerSize)
	case a.framing == chunked:
		b = append(b, "transfer-encoding: Chunked\r\n"...)
	}
	if a.answerTrailers && chance(s.rng, 0.5) {
		b = fmt.Appendf(b, "Trailer: %s\r\n", trailerField)
	}
	if a.lastAnswer {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

func (s *script) content() {
	a := s.a
	c := newContent(a.id, ofAnswer, a.answerSize)
	most := c.size
	if a.serverCut == inContent {
		most = a.serverAt
	}
	piece := pieceOf(s.rng, c.size)
	var b []byte
	for c.at < most && s.failed == nil {
		p := c.next(int(min(int64(1+s.rng.IntN(piece)), most-c.at)))
		if c.left() == 0 && a.framing != chunked && a.serverCut == whole {
			a.answered.Store(true)
		}
		b = s.frame(b[:0], p)
		s.write(b)
	}
	if s.failed != nil {
		refused(a, c.at, s.failed)
		return
	}
	if a.framing == chunked && a.serverCut == whole {
		a.answered.Store(true)
		b = append(b[:0], pick(s.rng, []string{"0\r\n", "0000\r\n"})...)
		if a.answerTrailers {
			b = fmt.Appendf(b, "%s: %s\r\n", trailerField, a.trailerOf(ofAnswer))
		}
		s.write(append(b, "\r\n"...))
	}
}

func (s *script) frame(b, p []byte) []byte {
	if s.a.framing != chunked {
		return append(b, p...)
	}
	b = fmt.Appendf(b, pick(s.rng, []string{"%x\r\n", "%X\r\n", "0%x\r\n"}), len(p))
	b = append(b, p...)
	return append(b, "\r\n"...)
}

// write sends b, sometimes in pieces.
func (s *script) write(b []byte) {
	for len(b) > 0 && s.failed == nil {
		n := len(b)
		if chance(s.rng, 0.3) {
			n = 1 + s.rng.IntN(n)
		}
		_, s.failed = s.c.Write(b[:n])
		b = b[n:]
		if s.a.slowAnswer && chance(s.rng, 0.2) {
			pause(s.rng)
		}
	}
}
