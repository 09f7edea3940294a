package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// told is an Asker that gives what came of a request, as text.
type told chan string

func (a told) Answered(res *Response, _ *Server, err error) { a <- answer(res, err) }

// began begins a request that has to be possible without waiting, and returns what comes of it.
func began(t *testing.T, ro *Rotation, call *Call, r *message.Request) string {
	t.Helper()
	a := make(told, 1)
	if !ro.Begin(call, r, a) {
		t.Fatalf("%s %s is not begun", r.Method, r.Target)
	}
	return <-a
}

// Whatever an answer looks like, it is the same as that of Do, and a connection that persists is used again.
func TestBegin(t *testing.T) {
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	large := strings.Repeat("0123456789abcdef", 1<<10)
	for _, test := range []struct {
		name, method, bytes, want string
		dials                     int
	}{
		{"length", "GET", hello, `200 "hello"`, 1},
		{"no content", "GET", ok + "Content-Length: 0\r\n\r\n", `200 ""`, 1},
		{"HEAD", "HEAD", ok + "Content-Length: 5\r\n\r\n", `200 ""`, 1},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", `204 ""`, 1},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", `304 ""`, 1},
		{"chunks", "GET", chunked + "5\r\nhello\r\n0\r\nx-end: 1\r\n\r\n", `200 "hello" trailers [{x-end 1}]`, 1},
		{"large", "GET", fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, len(large), large), fmt.Sprintf("200 %q", large), 1},
		{"interim", "GET", "HTTP/1.1 103 Early Hints\r\n\r\n" + hello, `200 "hello"`, 1},
		{"close", "GET", ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", `200 "hello"`, 2},
		{"until close", "GET", ok + "\r\nhello", `200 "hello"`, 2},
		{"cut off", "GET", ok + "Content-Length: 9\r\n\r\nhello", `200 "hello" then closed`, 2},
		{"header section cut off", "GET", ok + "Content-", "error closed", 2},
		{"malformed", "GET", ok + "Content-Length: x\r\n\r\n", "error malformed", 2},
		{"no HTTP", "GET", "SSH-2.0-hello\r\n\r\n", "error malformed", 2},
		{"switches", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "error malformed", 2},
		{"421", "GET", "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", "error misdirected", 1},
		{"408 for the connection", "GET", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", `200 "hello"`, 2},
		{"nothing", "GET", "", `200 "hello"`, 2},
		// What follows an answer unasked for would be taken for the next one.
		{"more than the answer", "GET", hello + ok + "Content-Length: 4\r\n\r\nevil", `200 "hello"`, 2},
		{"more than a buffer", "GET", fullBuffer + ok + "Content-Length: 4\r\n\r\nevil", fmt.Sprintf("200 %q", content4k), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(n int, c *peer) {
				for i := 0; ; i++ {
					if _, okay := c.head(); !okay {
						return
					}
					switch {
					case n > 1 || i != 1:
						c.say(hello)
						continue
					}
					if c.say(test.bytes); test.dials > 1 && !strings.Contains(test.name, "more than") {
						return
					}
				}
			})
			ro := stand(t, s)
			r := get("/x")
			r.Method = test.method
			if got := began(t, ro, new(Call), r); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			awaitStanding(t, s, 2-test.dials)
			var last string
			if a := make(told, 1); ro.Begin(new(Call), get("/"), a) {
				last = <-a
				awaitStanding(t, s, 1)
			} else {
				last = answer(s.Do(new(Call), get("/")))
			}
			if n := sc.dialled(); last != `200 "hello"` || n != test.dials {
				t.Errorf("then %s by %d connections, want %d", last, n, test.dials)
			}
		})
	}
}

// content4k is the content of an answer that fills the buffer of a connection.
var (
	head4k     = ok + "Content-Length: 4000\r\nX: %s\r\n\r\n"
	content4k  = strings.Repeat("0123456789", 400)
	fullBuffer = fmt.Sprintf(head4k, strings.Repeat("x", inputSize-4000-len(head4k)+len("%s"))) + content4k
)

func TestFullBuffer(t *testing.T) {
	if len(fullBuffer) != inputSize {
		t.Errorf("%d bytes, want %d", len(fullBuffer), inputSize)
	}
}

// An answer that comes in parts is given on as it comes, and interim answers are told of before the final one is there.
func TestBeginParts(t *testing.T) {
	next := make(chan struct{})
	s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
		c.head()
		c.say(hello)
		c.head()
		c.say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
		<-next
		c.say(ok + "Content-Length: 5\r\n\r\nhell")
		<-next
		c.say("o")
		c.head()
	})
	ro := stand(t, s)
	call := &Call{Inform: func(status int, f message.Fields) {
		if link, _ := f.Get("link"); status != 103 || link != "</x>" {
			t.Errorf("%d %v", status, f)
		}
		next <- struct{}{}
	}}
	done := make(chan string)
	if !ro.Begin(call, get("/"), answered(func(res *Response, _ *Server, err error) {
		if err != nil {
			t.Error(err)
			close(next)
			done <- ""
			return
		}
		next <- struct{}{}
		content, err := io.ReadAll(res)
		if err != nil {
			t.Error(err)
		}
		res.Close()
		done <- string(content)
	})) {
		t.Fatal("not begun")
	}
	if got := <-done; got != "hello" || sc.dialled() != 1 {
		t.Error(got, sc.dialled())
	}
	awaitStanding(t, s, 1)
}

type answered func(*Response, *Server, error)

func (f answered) Answered(res *Response, s *Server, err error) { f(res, s, err) }

// Only GET and HEAD without content are begun: all else may have been carried out when the connection turns out to have been closed.
func TestWhatIsNotBegun(t *testing.T) {
	s, sc := newScripted(t, Config{}, numberedHello)
	ro := stand(t, s)
	upgrade, odd := get("/"), get("/")
	upgrade.Protocol = "websocket"
	odd.Target = "/ "
	for _, r := range []*message.Request{
		send("POST", 0, nil), send("DELETE", 0, nil), send("GET", 5, &pieces{left: []string{"hello"}}), upgrade, odd,
	} {
		if ro.Begin(new(Call), r, make(told, 1)) {
			t.Errorf("%s %q %s is begun", r.Method, r.Target, r.Protocol)
		}
	}
	var canceled Call
	canceled.Cancel()
	if ro.Begin(&canceled, get("/"), make(told, 1)) {
		t.Error("a cancelled request is begun")
	}
	if n := standing(s); n != 1 {
		t.Errorf("%d connections stand", n)
	}
	// Do takes the connection that stands.
	for range 2 {
		if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "hello"` || sc.dialled() != 1 || standing(s) != 0 {
			t.Error(got, sc.dialled(), standing(s))
		}
	}
}

func TestBeginLimits(t *testing.T) {
	for want, limit := range map[string]func(c *Config, d time.Duration){
		"error timeout first byte": func(c *Config, d time.Duration) { c.FirstByte = d },
		"error timeout whole":      func(c *Config, d time.Duration) { c.Whole = d },
		"error canceled":           func(*Config, time.Duration) {},
	} {
		t.Run(want, func(t *testing.T) {
			// On a slow machine a short one may have passed before the request is sent, and nothing is begun then.
			for d := 50 * time.Millisecond; ; d *= 5 {
				got, begun := limited(t, want == "error canceled", func(c *Config) { limit(c, d) })
				if !begun && d < 10*time.Second {
					continue
				}
				if got != want {
					t.Errorf("%q, want %s", got, want)
				}
				break
			}
		})
	}
}

// limited begins a request that is never answered, and is canceled or has a limit that the one before it has not. It returns what came of it.
func limited(t *testing.T, cancel bool, limit func(*Config)) (got string, begun bool) {
	arrived := make(chan struct{})
	s, sc := newScripted(t, Config{}, func(n int, c *peer) {
		c.head()
		c.say(hello)
		if _, okay := c.head(); okay && n == 1 {
			close(arrived)
			c.head()
		}
	})
	ro := stand(t, s)
	free := s.config
	limit(&s.config)
	defer func() { s.config = free }()
	var call Call
	if cancel {
		go func() {
			<-arrived
			call.Cancel()
		}()
	}
	a := make(told, 1)
	if !ro.Begin(&call, get("/silent"), a) {
		return "", false
	}
	got = <-a
	s.config = free
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` || sc.dialled() != 2 {
		t.Error(got, sc.dialled())
	}
	return got, true
}

// Where the server of the connection is gone, the request goes on to the next one.
func TestBeginPassesOn(t *testing.T) {
	gone, sc := newScripted(t, Config{}, func(_ int, c *peer) {
		c.head()
		c.say(hello)
		c.head()
	})
	stand(t, gone)
	sc.mu.Lock()
	gone.config.Dial = (&net.Dialer{}).DialContext
	gone.config.Address = "127.0.0.1:1" // where nobody listens
	sc.mu.Unlock()
	other, _ := newScripted(t, Config{}, func(_ int, c *peer) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
		c.head()
	})
	ro := NewRotation(gone, other)
	passed := 0
	call := &Call{PassedOver: func(s *Server, err error) {
		if passed++; s != gone || kind(err) != "connect" {
			t.Error(s.Address(), err)
		}
	}}
	if got := began(t, ro, call, get("/")); got != `200 "other"` || passed != 1 {
		t.Error(got, passed)
	}
}

// A server keeps its turn where nothing is begun.
func TestBeginTakesTurns(t *testing.T) {
	count := make([]int, 2)
	var servers []*Server
	for i := range 2 {
		s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
			for _, okay := c.head(); okay; _, okay = c.head() {
				count[i]++
				c.say(hello)
			}
		})
		servers = append(servers, s)
	}
	ro := NewRotation(servers...)
	for n := range 6 {
		a := make(told, 1)
		if begun := ro.Begin(new(Call), get("/"), a); begun != (n > 1) {
			t.Fatal(n, begun)
		} else if begun {
			<-a
		} else if res, _, err := ro.Do(new(Call), get("/")); err != nil {
			t.Fatal(err)
		} else {
			res.Close()
		}
		awaitStanding(t, servers[n%2], 1)
	}
	if count[0] != 3 || count[1] != 3 {
		t.Error(count)
	}
}

// Whoever asks gets his own answer, whatever others do to the connections meanwhile.
func TestBeginMixed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("Close") != "" {
			w.Header().Set("Connection", "close")
		}
		if r.Header.Get("Parts") != "" {
			io.WriteString(w, r.URL.Path[:1])
			w.(http.Flusher).Flush()
			io.WriteString(w, r.URL.Path[1:])
			return
		}
		io.WriteString(w, r.URL.Path)
	}))
	defer srv.Close()
	s := NewServer(Config{Address: srv.Listener.Addr().String()})
	defer s.CloseIdle()
	ro := NewRotation(s)
	var each sync.WaitGroup
	begun := make(chan bool, 8*200)
	for i := range 8 {
		each.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for n := range 200 {
				r := get(fmt.Sprintf("/%d/%d", i, n))
				for _, name := range []string{"close", "parts"} {
					if rng.IntN(20) == 0 {
						r.Fields = append(r.Fields, message.Field{Name: name, Value: "1"})
					}
				}
				call := new(Call)
				cancels := rng.IntN(20) == 0
				if cancels {
					go call.Cancel()
				}
				if rng.IntN(50) == 0 {
					s.CloseIdle()
				}
				a := make(told, 1)
				got := ""
				if rng.IntN(4) > 0 && ro.Begin(call, r, a) {
					got = <-a
					begun <- true
				} else {
					got = answer(s.Do(call, r))
				}
				if want := fmt.Sprintf("200 %q", r.Target); got != want && !(cancels && strings.HasSuffix(got, "canceled")) {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	each.Wait()
	if len(begun) < 100 {
		t.Errorf("%d requests were begun", len(begun))
	}
}
