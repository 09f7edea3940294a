package h3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/h3"
	"github.com/usher-http/usher/internal/rawh3"
)

// slow is a handler that begins an answer and ends it when it is told to.
type slow struct {
	begun, finish chan struct{}
	end           func()
}

func newSlow() *slow {
	s := &slow{begun: make(chan struct{}, 100), finish: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.finish) })
	return s
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/slow" {
		answer(w, r)
		return
	}
	s.begun <- struct{}{}
	<-s.finish
	fmt.Fprintf(w, "%d", 1<<20)
	w.Write(make([]byte, 1<<20))
}

// TestShutdown: "requests whose header section was read before are answered", new ones are rejected, and all connections
// end. "H3_REQUEST_REJECTED: A server rejected a request without performing any application processing" (RFC 9114
// section 8.1).
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	h := newSlow()
	defer h.end()
	w.server.Handler = h
	w.serve(t)
	busy, idle, half := w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example"))
	wantStatus(t, idle, "open.example", 200)

	// A header section that never ends is no request, and Shutdown does not wait for it.
	part, err := half.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	frame := rawh3.HeadersFrame(rawh3.Get("open.example", "/"))
	if err := part.Raw(frame[:len(frame)-1]); err != nil {
		t.Fatal(err)
	}

	type result struct {
		res *rawh3.Response
		err error
	}
	const inFlight = 3
	results := make(chan result, inFlight)
	for range inFlight {
		go func() {
			res, err := try(t, busy, rawh3.Get("open.example", "/slow"))
			results <- result{res, err}
		}()
		<-h.begun
	}

	done := make(chan error, 1)
	go func() { done <- w.server.Shutdown(t.Context()) }()
	if err := <-w.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	wantGoAway(t, idle)
	wantGoAway(t, half)
	select {
	case <-busy.GoAway():
	case <-time.After(patience):
		t.Fatal("no GOAWAY on a connection with requests in flight")
	}
	if id := busy.GoAwayID(); id != 4*inFlight {
		t.Errorf("GOAWAY with stream ID %d, want %d: these requests are answered", id, 4*inFlight)
	}
	_, err = try(t, busy, rawh3.Get("open.example", "/"))
	wantCode(t, err, rawh3.RequestRejected)

	_, err = rawh3.Dial(t.Context(), w.addr, w.tls("open.example"), nil)
	if e, ok := errors.AsType[*quic.TransportError](err); !ok || e.ErrorCode != quic.ConnectionRefused {
		t.Errorf("new connection: %v", err)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v with requests in flight", err)
	default:
	}

	h.end()
	for range inFlight {
		if r := <-results; r.err != nil || r.res.Status != 200 || len(r.res.Body) != len("1048576")+1<<20 {
			t.Errorf("request in flight: %+v", r.err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	wantClosed(t, busy)
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
	if err := w.server.Serve(listen(t)); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	wantNoLeak(t)
}

// TestShutdownInTime: when the time is over, Shutdown says so, and Close ends what is left.
func TestShutdownInTime(t *testing.T) {
	w := newWorld(t)
	h := newSlow()
	defer h.end()
	w.server.Handler = h
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	failed := make(chan error, 1)
	go func() {
		_, err := try(t, c, rawh3.Get("open.example", "/slow"))
		failed <- err
	}()
	<-h.begun
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := w.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	select {
	case err := <-failed:
		t.Fatalf("the request ended before Close: %v", err)
	default:
	}
	if err := w.server.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantCode(t, <-failed, rawh3.NoError)
	h.end()
	wantNoLeak(t)
}

// TestClose, and the socket is free for a successor.
func TestClose(t *testing.T) {
	w := newWorld(t).serve(t)
	pc := listen(t)
	again := &h3.Server{Guard: w.guard, Listener: "public", Handler: http.HandlerFunc(answer)}
	for range 2 {
		served := make(chan error, 1)
		go func() { served <- again.Serve(pc) }()
		c, err := rawh3.Dial(t.Context(), pc.LocalAddr().String(), w.tls("open.example"), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, c, "open.example", 200)
		again.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		wantClosed(t, c)
		again = &h3.Server{Guard: w.guard, Listener: "public", Handler: http.HandlerFunc(answer)}
	}
	w.server.Close()
	wantNoLeak(t)
}

// TestSeveralSockets of one server.
func TestSeveralSockets(t *testing.T) {
	w := newWorld(t).serve(t)
	pc := listen(t)
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(pc) }()
	for _, addr := range []string{w.addr, pc.LocalAddr().String()} {
		c, err := rawh3.Dial(t.Context(), addr, w.tls("open.example"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wantStatus(t, c, "open.example", 200)
	}
	// One of them fails; the other goes on.
	pc.Close()
	if err := <-served; err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve on a closed socket: %v", err)
	}
	wantStatus(t, w.dial(t, w.tls("open.example")), "open.example", 200)
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-w.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestMistakes of the caller.
func TestMistakes(t *testing.T) {
	w := newWorld(t)
	guard, err := usher.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(answer)
	for name, s := range map[string]*h3.Server{
		"no guard":       {Handler: h},
		"two handlers":   {Guard: guard, Handler: h, Unguarded: h},
		"no certificate": {Guard: new(usher.Guard), Handler: h},
		"QUIC versions":  {Guard: guard, Handler: h, QUICConfig: &quic.Config{Versions: []quic.Version{77}}},
	} {
		if err := s.Serve(listen(t)); err == nil || errors.Is(err, http.ErrServerClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unused := &h3.Server{Guard: guard}
	if err := unused.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown before Serve: %v", err)
	}
	if err := unused.Serve(listen(t)); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	wantNoLeak(t)
}

// patiently tries something whose limits of time a slow machine may pass before the test gets to what it is about: try says so, and is
// called again with a longer one.
func patiently(t *testing.T, limit time.Duration, try func(limit time.Duration) (tested bool)) {
	t.Helper()
	for ; limit < patience; limit *= 3 {
		if try(limit) {
			return
		}
		t.Logf("the machine is too slow for a limit of %v", limit)
	}
	t.Error("the machine is too slow, or it happens whatever the limit is")
}

// TestTimeouts: a client that sends nothing, one that never ends a header section, and one that is done.
func TestTimeouts(t *testing.T) {
	patiently(t, 400*time.Millisecond, func(header time.Duration) bool {
		idle := 2 * header
		w := newWorld(t)
		w.server.HeaderTimeout, w.server.IdleTimeout = header, idle
		w.serve(t)
		begin := time.Now()
		silent, half, done := w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example"))
		if part, err := half.Stream(t.Context()); err == nil {
			part.Raw(rawh3.HeadersFrame(rawh3.Get("open.example", "/"))[:5])
		}
		res, err := try(t, done, rawh3.Get("open.example", "/"))
		if time.Since(begin) >= header {
			return false
		}
		if err != nil || res.Status != 200 {
			t.Fatal(res, err)
		}
		wantGoAway(t, silent)
		wantGoAway(t, half)
		took := time.Since(begin)
		early := done.QUIC.Context().Err() != nil
		if took < header {
			t.Errorf("closed after %v", took)
		}
		if time.Since(begin) >= idle {
			return false
		}
		if early {
			t.Error("a connection that has brought its request was closed by HeaderTimeout")
		}
		wantGoAway(t, done)
		if took := time.Since(begin); took < idle {
			t.Errorf("idle connection closed after %v", took)
		}
		return true
	})
}

// TestNoTimeouts: negative is no limit, and a request in hand is none of an idle connection.
func TestNoTimeouts(t *testing.T) {
	w := newWorld(t)
	h := newSlow()
	w.server.Handler = h
	w.server.HeaderTimeout, w.server.IdleTimeout = -1, 100*time.Millisecond
	w.serve(t)
	silent, busy := w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example"))
	time.AfterFunc(400*time.Millisecond, h.end)
	if res := do(t, busy, rawh3.Get("open.example", "/slow")); res.Status != 200 {
		t.Error(res.Status)
	}
	wantGoAway(t, busy)
	wantOpen(t, silent)

	patiently(t, 100*time.Millisecond, func(header time.Duration) bool {
		w, h := newWorld(t), newSlow()
		w.server.Handler = h
		w.server.HeaderTimeout, w.server.IdleTimeout = header, -1
		w.serve(t)
		begin := time.Now()
		busy := w.dial(t, w.tls("open.example"))
		stop := time.AfterFunc(4*header, h.end)
		defer stop.Stop()
		defer h.end()
		res, err := try(t, busy, rawh3.Get("open.example", "/slow"))
		select {
		case <-h.begun:
		default:
			if time.Since(begin) >= header { // the header section came too late
				return false
			}
		}
		if err != nil || res.Status != 200 {
			t.Error(res, err)
			return true
		}
		wantOpen(t, busy)
		return true
	})
}

// TestGarbage: datagrams of all kinds, and broken HTTP/3, are nobody else's trouble.
func TestGarbage(t *testing.T) {
	w := newWorld(t).serve(t)
	c := w.dial(t, w.tls("open.example"))
	u, err := net.Dial("udp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := make([]byte, 1+random.IntN(1400))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		switch i % 3 {
		case 0: // looks like an Initial packet of version 1
			copy(b, []byte{0xc3, 0, 0, 0, 1, 8})
		case 1: // plain HTTP
			copy(b, "GET / HTTP/1.1\r\nHost: open.example\r\n\r\n")
		}
		u.Write(b)
	}
	for name, raw := range map[string][]byte{
		// "Receipt of an invalid sequence of frames MUST be treated as a connection error of type H3_FRAME_UNEXPECTED" (RFC 9114
		// section 4.1).
		"DATA first":     {0x0, 0x1, 'x'},
		"reserved frame": {0x6, 0x0},
	} {
		broken := w.dial(t, w.tls("open.example"))
		s, err := broken.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Raw(raw); err != nil {
			t.Fatal(err)
		}
		select {
		case <-broken.QUIC.Context().Done():
			wantCode(t, context.Cause(broken.QUIC.Context()), rawh3.FrameUnexpected)
		case <-time.After(patience):
			t.Errorf("%s: the connection goes on", name)
		}
	}
	wantStatus(t, c, "open.example", 200)
	wantStatus(t, w.dial(t, w.tls("open.example")), "open.example", 200)
}

// TestMaxHeaderBytes: "An HTTP/3 implementation MAY impose a limit on the maximum size of the message header ... a 431 (Request
// Header Fields Too Large) HTTP status code" (RFC 9114 section 4.2.2).
func TestMaxHeaderBytes(t *testing.T) {
	w := newWorld(t)
	w.server.MaxHeaderBytes = 1 << 10
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	long := rawh3.Get("open.example", "/", rawh3.Field{"x", string(make([]byte, 0, 1))})
	long[len(long)-1][1] = fmt.Sprintf("%01500d", 0)
	if res := do(t, c, long); res.Status != 431 {
		t.Errorf("%d", res.Status)
	}
	wantStatus(t, c, "open.example", 200)
}

// TestConcurrency: many connections with many streams that ask for hosts in turn, while the rules are replaced; each
// answer is right by the rules of before or after, and answers never mix.
func TestConcurrency(t *testing.T) {
	w := newWorld(t)
	w.server.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s", r.Host, body)
	})
	w.serve(t)
	const conns, streams, requests = 4, 8, 10
	stop := make(chan struct{})
	var replacing sync.WaitGroup
	replacing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if err := w.guard.Replace(w.config); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var all sync.WaitGroup
	for range conns {
		c := w.dial(t, w.tls("open.example"))
		for i := range streams {
			all.Go(func() {
				for j := range requests {
					n := i*requests + j
					ask := []struct {
						scheme, host string
						status       int
					}{
						{"https", "open.example", 200}, {"https", "second.example", 200}, {"https", "admin.example", 421},
						{"http", "open.example", 421}, {"https", "apart.example", 421},
					}[n%5]
					text := fmt.Sprint(n)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					res, err := c.Do(ctx, rawh3.Request("POST", ask.scheme, ask.host, "/"), text)
					cancel()
					if err != nil {
						t.Errorf("%v: %v", ask, err)
						return
					}
					if res.Status != ask.status || ask.status == 200 && string(res.Body) != ask.host+" "+text {
						t.Errorf("%v: %d %q", ask, res.Status, res.Body)
					}
				}
			})
		}
	}
	all.Wait()
	close(stop)
	replacing.Wait()
}

// TestClientsComeAndGo leaves nothing behind.
func TestClientsComeAndGo(t *testing.T) {
	w := newWorld(t).serve(t)
	for i := range 10 {
		c := w.dial(t, w.tls("open.example"))
		wantStatus(t, c, "open.example", 200)
		switch i % 3 {
		case 0:
			c.Close()
		case 1:
			c.QUIC.CloseWithError(rawh3.FrameUnexpected, "")
		}
	}
	if _, err := rawh3.Dial(t.Context(), w.addr, &tls.Config{ServerName: "open.example"}, nil); err == nil {
		t.Error("no error from a client that does not know the authority")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wantNoLeak(t)
}
