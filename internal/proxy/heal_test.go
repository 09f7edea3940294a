package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/testca"
)

// A picky server answers 421 unless the connection's SNI is the request's host.
type picky struct {
	*httptest.Server
	ca *testca.CA

	mu     sync.Mutex
	shakes []string // the SNI of each handshake
	seen   []string // protocol, SNI, host and content of each request
	refuse int      // how many requests are answered 421 whatever they are
}

func newPicky(t *testing.T, two bool, hosts ...string) *picky {
	p := &picky{ca: testca.New(t)}
	p.Server = httptest.NewUnstartedServer(p)
	p.EnableHTTP2 = two
	cert := p.ca.Server(t, hosts...)
	p.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		p.mu.Lock()
		p.shakes = append(p.shakes, hello.ServerName)
		p.mu.Unlock()
		return nil, nil
	}, Certificates: []tls.Certificate{cert}}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, fmt.Sprint(r.Proto, " ", r.TLS.ServerName, " ", r.Host, " ", string(content)))
	if r.TLS.ServerName != r.Host || p.refuse > 0 {
		p.refuse--
		w.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	io.WriteString(w, "hello")
}

func (p *picky) client(sni string, fixed bool) *Server {
	return NewServer(Config{Address: p.Listener.Addr().String(), FixedSNI: fixed, TLS: &tls.Config{ServerName: sni, RootCAs: p.ca.Pool()}})
}

func (p *picky) asked() (shakes, seen []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	shakes, seen = p.shakes, p.seen
	p.shakes, p.seen = nil, nil
	return shakes, seen
}

func at(host string) *message.Request { r := get("/"); r.Authority = host; return r }

func eachProtocol(t *testing.T, f func(t *testing.T, two bool)) {
	t.Run("h1", func(t *testing.T) { f(t, false) })
	t.Run("h2", func(t *testing.T) { f(t, true) })
}

// DESIGN.md, Gateway and upstreams: "The gateway retries once on a fresh connection whose SNI is the request's host, if the first one
// was reused or had another SNI, no SNI is configured, and the body can be replayed; verification is never relaxed."
func TestHeal(t *testing.T) {
	const home, other = "home.test", "other.test"
	post := func(host string, length int64, body message.Body) *message.Request {
		r := send("POST", length, body)
		r.Authority = host
		return r
	}
	big := strings.Repeat("x", maxKept+1)
	for _, test := range []struct {
		name    string
		fixed   bool
		warm    bool // the home connection was used before
		refuse  int
		r       func() *message.Request
		want    string
		shakes  string // those behind the first
		retried bool
	}{
		{name: "another SNI", r: func() *message.Request { return at(other) }, want: `200 "hello"`, shakes: other},
		{name: "content at hand", r: func() *message.Request { return post(other, 5, &atHand{pieces{left: []string{"again"}}}) }, want: `200 "hello"`, shakes: other},
		{name: "small content", r: func() *message.Request { return post(other, -1, &pieces{left: []string{"ag", "ain"}}) }, want: `200 "hello"`, shakes: other},
		{name: "large content", r: func() *message.Request { return post(other, -1, &pieces{left: []string{big}}) }, want: "error misdirected"},
		{name: "reused with the right SNI", warm: true, refuse: 1, r: func() *message.Request { return at(home) }, want: `200 "hello"`, shakes: home},
		{name: "fresh with the right SNI", refuse: 1, r: func() *message.Request { return at(home) }, want: "error misdirected"},
		{name: "again 421", refuse: 2, r: func() *message.Request { return at(other) }, want: "error misdirected", shakes: other, retried: true},
		{name: "fixed SNI", fixed: true, r: func() *message.Request { return at(other) }, want: "error misdirected"},
		{name: "fixed SNI, reused", fixed: true, warm: true, r: func() *message.Request { return at(other) }, want: "error misdirected"},
		{name: "an address as the host", r: func() *message.Request { return at("127.0.0.1") }, want: "error misdirected"},
		{name: "an IPv6 address as the host", r: func() *message.Request { return at("[::1]:443") }, want: "error misdirected"},
		{name: "no certificate", r: func() *message.Request { return at("stranger.test") }, want: "error misdirected", shakes: "stranger.test", retried: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, two bool) {
				p := newPicky(t, two, home, other)
				s := p.client(home, test.fixed)
				defer s.CloseIdle()
				if test.warm {
					if got := answer(s.Do(new(Call), at(home))); got != `200 "hello"` {
						t.Fatal(got)
					}
				}
				p.refuse = test.refuse
				res, err := s.Do(new(Call), test.r())
				if got := answer(res, err); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				var fault *MisdirectedError
				if errors.As(err, &fault) {
					sni := home
					if test.retried {
						sni = test.shakes
					}
					if fault.Retried != test.retried || fault.SNI != sni || fault.Host != test.r().Authority || fault.Server != p.Listener.Addr().String() || fault.Cure() == "" {
						t.Errorf("%+v", fault)
					}
					if (fault.Err != nil) != (test.name == "no certificate") {
						t.Error(fault.Err)
					}
				}
				shakes, seen := p.asked()
				if got := strings.Join(shakes[1:], " "); got != test.shakes {
					t.Errorf("further handshakes %q, want %q", got, test.shakes)
				}
				if strings.Contains(test.name, "content") && test.shakes != "" && (len(seen) != 2 || !strings.HasSuffix(seen[1], " again")) {
					t.Errorf("the server saw %q", seen)
				}
			})
		})
	}
}

// A host that was healed goes to its own connections directly, and no other host's requests do.
func TestHealedIsRemembered(t *testing.T) {
	eachProtocol(t, func(t *testing.T, two bool) {
		p := newPicky(t, two, "home.test", "a.test", "b.test")
		s := p.client("home.test", false)
		defer s.CloseIdle()
		proto := "HTTP/1.1"
		if two {
			proto = "HTTP/2.0"
		}
		ask := func(host string, shakes int, seen ...string) {
			t.Helper()
			if got := answer(s.Do(new(Call), at(host))); got != `200 "hello"` {
				t.Error(got)
			}
			gotShakes, gotSeen := p.asked()
			for i := range seen {
				seen[i] = proto + " " + seen[i] + " "
			}
			if len(gotShakes) != shakes || strings.Join(gotSeen, "; ") != strings.Join(seen, "; ") {
				t.Errorf("%s: handshakes %q, requests %q; want %d, %q", host, gotShakes, gotSeen, shakes, seen)
			}
		}
		ask("a.test", 2, "home.test a.test", "a.test a.test")
		ask("a.test", 0, "a.test a.test")
		ask("home.test", 0, "home.test home.test")
		ask("b.test", 1, "home.test b.test", "b.test b.test")
		ask("a.test", 0, "a.test a.test")
		ask("b.test", 0, "b.test b.test")
		s.CloseIdle()
		ask("a.test", 1, "a.test a.test")
	})
}

// What is remembered ends, and is bounded.
func TestHealedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{Address: "x:1", TLS: anyTLS})
		h := s.heals
		remember := func(host string) *pool { p := h.pool(host); h.remember(host, p); return p }
		a := remember("a.test")
		if a.retired || h.poolFor("A.TEST.:8443") != a || h.poolFor("b.test") != s.home || h.poolFor("[::1]") != s.home {
			t.Error("the pools are wrong")
		}
		if h.pool("upstream.test") != s.home {
			t.Error("the configured SNI has two pools")
		}
		time.Sleep(keepHealed)
		if h.poolFor("a.test") != s.home || !a.retired {
			t.Error("it is not forgotten in time")
		}
		first := remember("first.test")
		for i := range maxHealed {
			time.Sleep(time.Millisecond)
			h.poolFor("first.test") // it is in use
			remember(fmt.Sprint("h", i, ".test"))
		}
		if n := len(h.hosts); n != maxHealed || h.poolFor("first.test") != first || h.hosts["h0.test"] != nil {
			t.Errorf("%d hosts", n)
		}
		h.forget("first.test")
		if h.poolFor("first.test") != s.home || !first.retired || int(h.n.Load()) != maxHealed-1 {
			t.Error("it is not forgotten")
		}
	})
}

// Over plaintext there is no SNI that could be another.
func TestMisdirectedOverPlaintext(t *testing.T) {
	s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
		for {
			if _, okay := c.head(); !okay {
				return
			}
			c.say("HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n")
		}
	})
	for range 2 {
		_, err := s.Do(new(Call), get("/"))
		var fault *MisdirectedError
		if !errors.As(err, &fault) || fault.Retried || !strings.Contains(fault.Cure(), "plaintext") {
			t.Errorf("%+v", err)
		}
	}
	if n := sc.dialled(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestNameOf(t *testing.T) {
	for authority, want := range map[string]string{
		"Example.COM": "example.com", "example.com.": "example.com", "example.com:8443": "example.com", "a_b.test": "a_b.test", "localhost": "localhost",
		"": "", ":443": "", "192.0.2.1": "", "192.0.2.1:443": "", "[::1]": "", "[::1]:443": "", "::1": "", "1.2.3": "", "a..b": "", "-a.test": "", "a-.test": "",
		"a b": "", "ä.test": "", "a%41.test": "", "user@a.test": "", ".": "", strings.Repeat("a", 64) + ".test": "",
		strings.Repeat("a.", 127) + "a": "", strings.Repeat("a.", 126) + "a": strings.Repeat("a.", 126) + "a",
	} {
		if got, ok := nameOf(authority); got != want && ok || ok != (want != "") {
			t.Errorf("nameOf(%q) is %q, %v, want %q", authority, got, ok, want)
		}
	}
}

// The certificate has to be valid for the SNI: that it is valid for something else does not count.
func TestVerification(t *testing.T) {
	p := newPicky(t, false, "home.test")
	stranger := testca.New(t)
	for name, config := range map[string]*tls.Config{
		"another name":      {ServerName: "other.test", RootCAs: p.ca.Pool()},
		"another authority": {ServerName: "home.test", RootCAs: stranger.Pool()},
	} {
		_, err := NewServer(Config{Address: p.Listener.Addr().String(), TLS: config}).Do(new(Call), at("home.test"))
		if kind(err) != "connect" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, seen := p.asked(); len(seen) != 0 {
		t.Errorf("the server saw %q", seen)
	}
}

// RFC 9112 section 9.8: "A response that has neither chunked transfer coding nor Content-Length is complete only if a valid closure alert
// has been received."
func TestCutOffInTLS(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Server(t, "home.test")
	for name, test := range map[string]struct {
		close func(raw net.Conn, c *tls.Conn)
		want  string
	}{
		"closed":  {func(_ net.Conn, c *tls.Conn) { c.Close() }, `200 "hello"`},
		"cut off": {func(raw net.Conn, _ *tls.Conn) { raw.Close() }, `200 "hello" then closed`},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
			(&peer{c, bufio.NewReader(c), t}).head()
			io.WriteString(c, ok+"\r\nhello")
			test.close(raw, c)
		}()
		s := NewServer(Config{Address: l.Addr().String(), TLS: &tls.Config{ServerName: "home.test", RootCAs: ca.Pool()}})
		if got := answer(s.Do(new(Call), at("home.test"))); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
