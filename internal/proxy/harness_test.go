package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A scripted server speaks raw bytes: its script gets each connection that is made, in turn, in a goroutine of its own.
type scripted struct {
	t      testing.TB
	script func(n int, c *peer)

	connecting sync.Mutex // so that both ends are of one connection
	connect    func(context.Context) (ours, theirs net.Conn, err error)

	mu    sync.Mutex
	dials int
	done  sync.WaitGroup
}

// peer is the server's end of a connection.
type peer struct {
	net.Conn
	*bufio.Reader
	t testing.TB
}

func (p *peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// head reads a request's header section, as it came.
func (p *peer) head() (string, bool) {
	var b strings.Builder
	for {
		line, err := p.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), false
		}
		if line == "\r\n" {
			return b.String(), true
		}
	}
}

func (p *peer) say(s string) { io.WriteString(p.Conn, s) }

// want reads exactly these bytes.
func (p *peer) want(s string) {
	p.t.Helper()
	b := make([]byte, len(s))
	if n, err := io.ReadFull(p.Reader, b); err != nil || string(b) != s {
		p.t.Errorf("the server read %q (%v), want %q", b[:n], err, s)
	}
}

// newScripted makes a server over sockets. The script's connection is closed when it returns.
func newScripted(t testing.TB, config Config, script func(n int, c *peer)) (*Server, *scripted) {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return newScriptedBy(t, config, script, func(ctx context.Context) (ours, theirs net.Conn, err error) {
		if ours, err = new(net.Dialer).DialContext(ctx, "tcp", in.Addr().String()); err == nil {
			theirs, err = in.Accept()
		}
		return ours, theirs, err
	})
}

// newPiped is newScripted over net.Pipe, which testing/synctest understands.
func newPiped(t testing.TB, config Config, script func(n int, c *peer)) (*Server, *scripted) {
	return newScriptedBy(t, config, script, func(context.Context) (ours, theirs net.Conn, err error) {
		ours, theirs = net.Pipe()
		return ours, theirs, nil
	})
}

func newScriptedBy(t testing.TB, config Config, script func(n int, c *peer), connect func(context.Context) (ours, theirs net.Conn, err error)) (*Server, *scripted) {
	sc := &scripted{t: t, script: script, connect: connect}
	config.Address = "upstream.test:80"
	config.Dial = sc.dial
	s := NewServer(config)
	t.Cleanup(func() {
		s.CloseIdle()
		sc.done.Wait()
	})
	return s, sc
}

func (sc *scripted) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	sc.mu.Lock()
	sc.dials++
	n := sc.dials
	sc.mu.Unlock()
	sc.connecting.Lock()
	defer sc.connecting.Unlock()
	ours, theirs, err := sc.connect(ctx)
	if err != nil {
		return nil, err
	}
	sc.done.Go(func() {
		defer theirs.Close()
		sc.script(n, &peer{theirs, bufio.NewReader(theirs), sc.t})
	})
	return ours, nil
}

func (sc *scripted) dialled() int {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.dials
}

// content is a request's content for tests: pieces that Read returns one by one.
type pieces struct {
	left     []string
	err      error // at the end; nil: io.EOF
	trailers message.Fields
	ended    bool
}

func (b *pieces) Read(p []byte) (int, error) {
	for len(b.left) > 0 && b.left[0] == "" {
		b.left = b.left[1:]
	}
	if len(b.left) == 0 {
		b.ended = true
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	n := copy(p, b.left[0])
	b.left[0] = b.left[0][n:]
	return n, nil
}

func (b *pieces) Trailers() message.Fields {
	if !b.ended {
		return nil
	}
	return b.trailers
}

func (b *pieces) Stop() {}

// atHand is content all of which has come already.
type atHand struct{ pieces }

func (b *atHand) AtHand() (int, bool) {
	n := 0
	for _, s := range b.left {
		n += len(s)
	}
	return n, true
}

// taken is content that can be had without a copy.
type taken struct {
	atHand
	times int
}

func (b *taken) Take() []byte {
	b.times++
	p := []byte(strings.Join(b.left, ""))
	b.left = nil
	return p
}

// waiting is content that comes when the test says so.
type waiting struct {
	come     chan string // closed: the end
	stopped  chan struct{}
	once     sync.Once
	asked    chan struct{} // gets a word for each Read, if it is not nil
	trailers message.Fields
	rest     string
}

func newWaiting() *waiting { return &waiting{come: make(chan string), stopped: make(chan struct{})} }

var errStop = errors.New("stopped by Stop")

func (b *waiting) Read(p []byte) (int, error) {
	if b.asked != nil {
		b.asked <- struct{}{}
	}
	if b.rest == "" {
		select {
		case s, ok := <-b.come:
			if !ok {
				return 0, io.EOF
			}
			b.rest = s
		case <-b.stopped:
			return 0, errStop
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *waiting) Trailers() message.Fields { return b.trailers }
func (b *waiting) Stop()                    { b.once.Do(func() { close(b.stopped) }) }

func get(target string) *message.Request {
	return &message.Request{Method: "GET", Authority: "example.com", Target: target}
}

func send(method string, length int64, body message.Body) *message.Request {
	return &message.Request{Method: method, Authority: "example.com", Target: "/", Length: length, Body: body}
}

// answer is what came of a request, as text.
func answer(res *Response, err error) string {
	if err != nil {
		return "error " + kind(err)
	}
	defer res.Close()
	content, err := io.ReadAll(res)
	s := fmt.Sprintf("%d %q", res.Status, content)
	if f := res.Trailers(); len(f) > 0 {
		s += fmt.Sprintf(" trailers %v", f)
	}
	if err != nil {
		s += " then " + kind(err)
	}
	return s
}

// sentWhole waits until who sends the content knows that it was sent. The end of an exchange waits for that no longer than lastWrite, and does
// not keep the connection then, although the server has all of the request.
func sentWhole(t *testing.T, res *Response) {
	t.Helper()
	c, ok := res.from.(*conn)
	if !ok || c.send == nil {
		return
	}
	select {
	case <-c.send.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the request is still being sent")
	}
}

// kind is the sort of an error, as the gateway tells them apart.
func kind(err error) string {
	var (
		connect    *ConnectError
		body       *BodyError
		malformed  *MalformedError
		closed     *ClosedError
		request    *RequestError
		misdirect  *MisdirectedError
		limit      *TimeoutError
		stale      *staleError
		underlying string
	)
	switch {
	case errors.As(err, &stale):
		return "a staleError that leaked"
	case errors.As(err, &misdirect):
		return "misdirected"
	case errors.As(err, &connect):
		if errors.As(err, &limit) {
			underlying = " " + limit.limit
		}
		return "connect" + underlying
	case errors.As(err, &limit):
		return "timeout " + limit.limit
	case errors.As(err, &body):
		return "body"
	case errors.As(err, &malformed):
		return "malformed"
	case errors.As(err, &closed):
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return "closed, but no io.ErrUnexpectedEOF"
		}
		return "closed"
	case errors.As(err, &request):
		return "request"
	case errors.Is(err, ErrCanceled):
		return "canceled"
	}
	return err.Error()
}

// anyTLS is a configuration for servers that are never reached.
var anyTLS = &tls.Config{ServerName: "upstream.test"}
