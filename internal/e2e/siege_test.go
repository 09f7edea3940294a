package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A siege is a server under attack, with an ordinary client that goes on using it, and an upstream.
type siege struct {
	*stage
	begun   atomic.Int64 // requests that have reached the upstream's slow pages
	working atomic.Int64 // that are there now
	most    atomic.Int64 // that were there at once
}

// What a siege's server answers: a.test/ at once, /up from behind, /slow from behind after a while, /big from behind with much.
const (
	slowness = 300 * time.Millisecond
	bigness  = 1 << 20
)

// bigPage is one for all requests: hundreds of them would keep the processors busy with it, and the ordinary client from being served.
var bigPage = make([]byte, bigness)

// siegeLimits are short, so that what is slow ends within a test.
var siegeLimits = fmt.Sprintf("{handshake: 10s, header: %[1]v, body: %[1]v, idle: %[1]v, drain: 5s}", siegeLimit)

// floodLimits are so long that no time limit ends what the server is to have had enough of, however long a slow machine takes for that.
const floodLimits = "{handshake: 10s, header: 1m, body: 1m, idle: 1m, drain: 5s}"

func newSiege(t *testing.T, limits string) *siege {
	t.Helper()
	s := new(siege)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(s.behind))
	// By itself a socket takes a whole big page: hundreds of them, which nobody reads, are more than the kernel has for all TCP of a small
	// machine, and then it resets connections, whoever has them.
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		return ctx
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "a", "a.test")
	s.stage = &stage{c, serve(t, c.dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0", protocols: [h1, h2]}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout, access: false}
timeouts: %s
state: ./state
sites:
  - name: a
    hosts: [a.test]
    tls: {certificates: [{certificate: a.pem, key: a.key}]}
    routes:
      - {path: /, respond: {body: "fixed\n"}}
      - {path: /up, upstream: %[2]q}
      - {path: /slow, upstream: %[2]q}
      - {path: /big, upstream: %[2]q}
`, limits, srv.URL))}
	return s
}

// behind is the upstream. Its slow pages close their connections, so that none is left of a siege.
func (s *siege) behind(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/up" {
		io.WriteString(w, "from behind\n")
		return
	}
	s.begun.Add(1)
	for n := s.working.Add(1); ; {
		if most := s.most.Load(); n <= most || s.most.CompareAndSwap(most, n) {
			break
		}
	}
	defer s.working.Add(-1)
	w.Header().Set("Connection", "close")
	if r.URL.Path == "/big" {
		w.Write(bigPage)
		return
	}
	io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-time.After(slowness):
		io.WriteString(w, "from behind, at last\n")
	}
}

// An attack is what one connection did.
type attack struct {
	sent int    // frames, or whatever the test counts
	end  string // as (*wire).end words it
}

// A result is what came of a siege.
type result struct {
	attacks []attack
	grown   int // by how many bytes the process grew at most
}

// bound is how much the process may grow under a siege: what is said for its connections and streams, and a part for the garbage
// collector, which lets the heap double before it works, for handshakes, which need 50 KiB each, and for the pools of buffers.
func bound(bytes int) int { return (32<<20 + 2*bytes) * raceMemory }

// attack has sides connections attack at once for a while: each calls assault, again and again, with a new connection, which has begun
// and is not read from. Meanwhile the ordinary client is served about as quickly as before, and afterwards nothing is left.
// Others may keep the processors busy, too, so that it was not counts where it happens again and again.
func (s *siege) attack(t *testing.T, sides int, length time.Duration, limit int, assault func(c *wire, until time.Time) (sent int)) result {
	t.Helper()
	const tries = 3
	for try := 1; ; try++ {
		r, slow := s.attackOnce(t, sides, length, limit, assault)
		switch {
		case slow == "" || t.Failed():
			return r
		case try == tries:
			t.Error(slow)
			return r
		}
		t.Logf("again, since %s", slow)
	}
}

func (s *siege) attackOnce(t *testing.T, sides int, length time.Duration, limit int, assault func(c *wire, until time.Time) (sent int)) (
	r result, slow string) {
	t.Helper()
	o := s.ordinary(t)
	quiet := o.visits(t.Context(), 40)
	if quiet.err != nil {
		t.Fatal(quiet.err)
	}
	connections, goroutines, before := s.open(t), s.gauge(t, "go_goroutines"), resident(t, s.cmd.Process.Pid)
	ctx, stop := context.WithCancel(t.Context())
	during := make(chan visits, 1)
	go func() { during <- o.visits(ctx, 0) }()

	address, config, until := s.at(t, "public"), s.tls(on("a.test"), "h2"), time.Now().Add(length)
	var mu sync.Mutex
	var attackers sync.WaitGroup
	for range sides {
		attackers.Go(func() {
			for first := true; first || time.Now().Before(until); first = false {
				c, err := beginWire(address, config)
				if err != nil {
					t.Errorf("an attacker: %v", err)
					return
				}
				sent := assault(c, until)
				mu.Lock()
				r.attacks = append(r.attacks, attack{sent, c.end()})
				mu.Unlock()
				c.Close()
			}
		})
	}
	over := make(chan struct{})
	go func() {
		attackers.Wait()
		close(over)
	}()
	for watching := true; watching; {
		select {
		case <-over:
			watching = false
		case <-time.After(10 * time.Millisecond):
		}
		r.grown = max(r.grown, resident(t, s.cmd.Process.Pid)-before)
	}
	stop()
	served := <-during
	slow = s.judge(t, quiet, served, r, limit)
	const some = 10 // that come and go anyway
	eventually(t, "the connections and goroutines of the attack are gone", func() bool {
		return s.open(t) <= connections && s.gauge(t, "go_goroutines") <= goroutines+some
	})
	return r, slow
}

// judge compares the ordinary client's run with its quiet one, and the memory with its limit. It says how the client was too slow.
func (s *siege) judge(t *testing.T, quiet, served visits, r result, limit int) (slow string) {
	t.Helper()
	t.Logf("%s; the ordinary client: median %v, longest %v of %d (quiet: %v, %v); memory: %d KiB more, %d allowed", r.summary(),
		served.median(), served.longest(), len(served.took), quiet.median(), quiet.longest(), r.grown>>10, limit>>10)
	if served.err != nil && served.late {
		return fmt.Sprintf("the ordinary client's request %d, which took too long, ended with %v", len(served.took)+1, served.err)
	}
	if served.err != nil {
		t.Errorf("the ordinary client's request %d: %v", len(served.took)+1, served.err)
	}
	if r.grown > limit {
		t.Errorf("the process grew by %d KiB, %d allowed", r.grown>>10, limit>>10)
	}
	if len(served.took) < 5 {
		return fmt.Sprintf("the ordinary client was served %d times", len(served.took))
	}
	// The attackers run on the same processors, and other tests may.
	if most := 30*quiet.median() + raceMemory*100*time.Millisecond; served.median() > most { // the race detector takes time, too
		return fmt.Sprintf("the ordinary client waited %v in the median, %v allowed", served.median(), most)
	}
	if most := 5 * time.Second; served.longest() > most {
		return fmt.Sprintf("the ordinary client waited %v, %v allowed", served.longest(), most)
	}
	return ""
}

func (r result) sent() (sum int) {
	for _, a := range r.attacks {
		sum += a.sent
	}
	return sum
}

func (r result) summary() string {
	ends := map[string]int{}
	for _, a := range r.attacks {
		ends[a.end]++
	}
	return fmt.Sprintf("%d attacks, %d sent, ends %v", len(r.attacks), r.sent(), ends)
}

// want fails the test unless at least so much was sent, and each connection ended in one of these ways, as the server says (the first,
// which may be several with bars between them) at least once.
func (r result) want(t *testing.T, sent int, ends ...string) {
	t.Helper()
	if r.sent() < sent {
		t.Errorf("%d sent, which is no attack: %d are one", r.sent(), sent)
	}
	said, seen := strings.Split(ends[0], "|"), false
	for _, a := range r.attacks {
		seen = seen || slices.Contains(said, a.end)
		if !slices.Contains(ends[1:], a.end) && !slices.Contains(said, a.end) {
			t.Errorf("a connection on which %d were sent: %s, want one of %q", a.sent, a.end, ends)
			return
		}
	}
	if !seen {
		t.Errorf("no connection ended with %s", ends[0])
	}
}

// open is the number of connections of clients.
func (s *siege) open(t *testing.T) (sum float64) {
	t.Helper()
	for _, n := range s.metrics(t, "usher_connections") {
		count, err := strconv.ParseFloat(n, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += count
	}
	return sum
}

// ordinary is a client that does nothing wrong.
type ordinary struct {
	client  *http.Client
	connect func() (net.Conn, error)
}

func (s *siege) ordinary(t *testing.T) *ordinary {
	t.Helper()
	client, _ := s.browser(t, "h2")
	return &ordinary{client, func() (net.Conn, error) { return s.dialTLS(t, on("a.test"), "http/1.1") }}
}

// A visits is how long each of an ordinary client's requests took.
type visits struct {
	took []time.Duration
	err  error
	late bool // the one that failed: the client may have been kept from its part for longer than the time limits
}

func (v visits) median() time.Duration {
	if len(v.took) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v.took))[len(v.took)/2]
}

func (v visits) longest() time.Duration {
	if len(v.took) == 0 {
		return 0
	}
	return slices.Max(v.took)
}

// visits makes n requests, 0: until the context ends. They are for what is fixed and for what is behind in turn on one connection of
// HTTP/2, and every tenth one on a new connection of HTTP/1.1.
func (o *ordinary) visits(ctx context.Context, n int) (v visits) {
	pages := []struct{ path, body string }{{"/", "fixed\n"}, {"/up", "from behind\n"}}
	for i := 0; (n == 0 || i < n) && ctx.Err() == nil; i++ {
		page := pages[i%len(pages)]
		began := time.Now()
		get := o.get
		if i%10 == 9 {
			get = o.getAnew
		}
		status, body, err := get(page.path)
		if err == nil && (status != 200 || body != page.body) {
			err = fmt.Errorf("%s: %d %q", page.path, status, body)
		}
		if err != nil {
			v.err, v.late = err, time.Since(began) >= siegeLimit
			return v
		}
		v.took = append(v.took, time.Since(began))
		// A pause, no wait: two cores are for others too.
		time.Sleep(2 * time.Millisecond)
	}
	return v
}

func (o *ordinary) get(path string) (status int, body string, err error) {
	w, err := o.client.Get("https://a.test" + path)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	return w.StatusCode, string(text), err
}

func (o *ordinary) getAnew(path string) (status int, body string, err error) {
	c, err := o.connect()
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", path); err != nil {
		return 0, "", err
	}
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	return w.StatusCode, string(text), err
}
