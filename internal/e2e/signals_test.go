package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/rawh2"
	"github.com/usher-http/usher/internal/rawh3"
)

// held is the cast with a site whose upstream answers when the test says so.
func held(t *testing.T, timeouts string) (*stage, *upstream) {
	t.Helper()
	u := newUpstream(t)
	s := play(t, "timeouts: "+timeouts, heldSite(u))
	return s, u
}

// heldSite shares the certificate of the others: gone.test is in it.
func heldSite(u *upstream) string {
	return fmt.Sprintf(`  - name: held
    hosts: [gone.test]
    listeners: [public]
    tls: *shared
    upstream: %s
`, u.url)
}

// A pending is a request that was sent and whose response is still to come.
type pending struct {
	what   string
	finish func() reply
}

// hold sends requests to /hold over each protocol, several on one connection where that goes, and returns when all have
// reached the upstream.
func hold(t *testing.T, s *stage, u *upstream) []pending {
	t.Helper()
	at := s.text(t, "gone.test:PORT")
	one := s.h1(t, on("gone.test"))
	if _, err := fmt.Fprintf(one, "GET /hold HTTP/1.1\r\nHost: %s\r\n\r\n", at); err != nil {
		t.Fatal(err)
	}
	list := []pending{{"h1", func() reply { return one.receive(t, "GET") }}}
	two := s.h2(t, on("gone.test"))
	for range 3 {
		id, err := two.Send(rawh2.Get("https", at, "/hold"), nil)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pending{"h2", func() reply {
			w, err := two.Receive(id)
			if err != nil {
				t.Errorf("h2: %v", err)
				return reply{}
			}
			return replyOfH2(w)
		}})
	}
	three := s.h3(t, on("gone.test"))
	for range 3 {
		stream, err := three.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Headers(rawh3.Get(at, "/hold")); err != nil {
			t.Fatal(err)
		}
		stream.End()
		list = append(list, pending{"h3", func() reply {
			w, err := stream.Response()
			if err != nil {
				t.Errorf("h3: %v", err)
				return reply{}
			}
			return replyOfH3(t, w, nil)
		}})
	}
	u.awaitHeld(t, len(list))
	return list
}

// posting sends the header section of a POST over each protocol, and the body when it is finished.
func posting(t *testing.T, s *stage, u *upstream) []pending {
	t.Helper()
	const body = "the first half, the second half"
	before := u.begun.Load()
	var list []pending
	for _, proto := range protocols {
		c, _ := s.browser(t, proto)
		r, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		answer := make(chan reply, 1)
		go func() {
			res, err := c.Post(s.text(t, "https://gone.test:PORT/echo"), "text/plain", r)
			if err != nil {
				answer <- reply{below: err.Error()}
				return
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if err != nil || string(got) != body {
				answer <- reply{below: fmt.Sprintf("%q, %v", got, err)}
				return
			}
			answer <- reply{status: res.StatusCode}
		}()
		if _, err := io.WriteString(w, body[:16]); err != nil {
			t.Fatal(err)
		}
		list = append(list, pending{proto + " POST", func() reply {
			io.WriteString(w, body[16:])
			w.Close()
			return <-answer
		}})
	}
	eventually(t, "the requests reach the upstream", func() bool { return u.begun.Load() == before+int64(len(protocols)) })
	return list
}

// eventually waits for a condition that nothing announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// refuses holds when nobody listens at an address any more.
func refuses(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// TestTerm: "every request whose header section was read before it is answered within the drain time-out, on all protocols".
func TestTerm(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s, u := held(t, "{drain: 10m}")
			// A connection that nobody uses does not keep the server.
			for _, proto := range protocols {
				s.connect(t, proto, shop).get(t, s.text(t, "shop.test:PORT"), "/")
			}
			list := append(hold(t, s, u), posting(t, s, u)...)
			mark := s.stderr.mark()
			s.signal(t, signal)
			s.stderr.awaitText(t, mark, "usher: ending")
			if status := s.ready(t); status != 503 {
				t.Errorf("/readyz while draining: %d", status)
			}
			u.release()
			for _, p := range list {
				if r := p.finish(); r.status != 200 {
					t.Errorf("%s: %d %s", p.what, r.status, r.below)
				}
			}
			if code := s.wait(t); code != 0 {
				t.Errorf("exit %d", code)
			}
			if !refuses(s.admin) {
				t.Error("the admin listener is still there")
			}
		})
	}
}

// TestTermCloses: who comes while the server drains is turned away at once, and can go elsewhere.
func TestTermCloses(t *testing.T) {
	t.Parallel()
	s, u := held(t, "{drain: 10m}")
	hold(t, s, u)
	s.signal(t, syscall.SIGTERM)
	s.stderr.awaitText(t, 0, "usher: ending")
	for _, name := range []string{"public", "far", "plain"} {
		eventually(t, "listener "+name+" is closed", func() bool { return refuses(s.at(t, name)) })
	}
}

func (s *server) ready(t testing.TB) int {
	t.Helper()
	w, err := adminClient.Get("http://" + s.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	return w.StatusCode
}

// TestTermIdle: with nothing in hand the end comes soon, whatever the drain time-out.
func TestTermIdle(t *testing.T) {
	t.Parallel()
	s := play(t, "timeouts: {drain: 10m}", "")
	for _, proto := range protocols {
		s.connect(t, proto, shop).get(t, s.text(t, "shop.test:PORT"), "/")
	}
	silent := s.plaintext(t, "public")
	defer silent.close()
	if status := s.ready(t); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	s.stderr.awaitText(t, 0, "usher: ended")
}

// awaitCut waits for the word that so many requests were cut.
func (s *server) awaitCut(t testing.TB, n int) {
	t.Helper()
	s.stderr.await(t, 0, fmt.Sprintf("%d requests cut", n), func(line string) bool {
		return strings.Contains(line, "cut") && slices.Contains(strings.FieldsFunc(line, notDigit), fmt.Sprint(n))
	})
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

// TestTermTwice: "a second signal ends at once".
func TestTermTwice(t *testing.T) {
	t.Parallel()
	s, u := held(t, "{drain: 10m}")
	list := hold(t, s, u)
	s.signal(t, syscall.SIGTERM)
	s.stderr.awaitText(t, 0, "usher: ending")
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 1 {
		t.Errorf("exit %d", code)
	}
	s.awaitCut(t, len(list))
}

// TestDrainCuts: what has not ended when timeouts.drain is over is cut, and said.
func TestDrainCuts(t *testing.T) {
	t.Parallel()
	s, u := held(t, "{drain: 300ms}")
	list := hold(t, s, u)
	mark := s.stdout.mark()
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 1 {
		t.Errorf("exit %d", code)
	}
	s.awaitCut(t, len(list))
	if n := len(s.stdout.entries(t, mark)); n != len(list) {
		t.Errorf("%d of %d cut requests are in the log", n, len(list))
	}
}

// TestHangup: a reload changes all that the file says, while connections stay, and are judged by the new rules.
func TestHangup(t *testing.T) {
	t.Parallel()
	s := play(t, "", "")
	at := func(host string) string { return s.text(t, host+":PORT") }
	// A connection for each host, because those that were told of an origin that they lose go away with their next response.
	old := map[string]client{}
	for _, proto := range protocols {
		for host, want := range map[string]int{"shop.test": 200, "api.test": 200, "gone.test": 421} {
			c := s.connect(t, proto, shop)
			if r := c.get(t, at(host), "/"); r.status != want {
				t.Fatalf("%s, %s before: %d, want %d", proto, host, r.status, want)
			}
			old[proto+" "+host] = c
		}
	}
	stop := s.steady(t)
	before := s.address["public"]
	next := s.config("", `  - name: gone
    hosts: [gone.test]
    listeners: [public, extra]
    tls: *shared
    routes:
      - {path: /, respond: {body: "back again\n"}}
`)
	next = strings.Replace(next, "hosts: [api.test]\n    listeners: [public, plain]\n    tls: *shared",
		"hosts: [api.test]\n    listeners: [public]\n    tls: {certificates: [{certificate: shared.pem, key: shared.key}], client_auth: require, client_ca: staff-ca.pem}", 1)
	next = strings.Replace(next, `  - {name: plain,`, "  - {name: extra, address: \"127.0.0.1:0\"}\n  - {name: plain,", 1)
	s.configure(t, next)
	mark := s.stderr.mark()
	s.reload(t, hangup, "loaded "+s.file+" again")
	s.locate(t, mark)
	stop(2)
	if s.address["public"] != before {
		t.Errorf("the listener moved from %s to %s", before, s.address["public"])
	}
	for _, proto := range protocols {
		for host, want := range map[string]int{"shop.test": 200, "api.test": 421, "gone.test": 200} {
			if r := old[proto+" "+host].get(t, at(host), "/"); r.status != want {
				t.Errorf("%s, %s on the old connection: %d, want %d", proto, host, r.status, want)
			}
		}
		d := on("gone.test")
		d.listener = "extra"
		if r := s.connect(t, proto, d).get(t, "gone.test", "/"); r.body != "back again\n" {
			t.Errorf("%s, the new site on the new listener: %d", proto, r.status)
		}
		if r := s.connect(t, proto, on("api.test").with(s.alice)).get(t, at("api.test"), "/"); r.status != 200 {
			t.Errorf("%s, the closed site with a certificate: %d", proto, r.status)
		}
	}
	if got := s.metrics(t, "usher_reloads_total"); got[`usher_reloads_total{result="ok"}`] != "1" {
		t.Errorf("metrics: %v", got)
	}
}

// TestHangupBad: "a bad file leaves the old configuration serving and says why".
func TestHangupBad(t *testing.T) {
	t.Parallel()
	s := play(t, "", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := s.config("", "")
	tests := []struct{ name, file, want string }{
		{"an unknown key", strings.Replace(good, "    coalesce: false", "    coalesces: false", 1), "usher.yaml:39:5: unknown key"},
		{"no YAML", good + "\n\t: [", "usher.yaml:"},
		{"a certificate that is not there", strings.Replace(good, "blog.pem", "blok.pem", 1), "usher.yaml:"},
		{"a port that is taken", strings.Replace(good, "listeners:\n  - {", "listeners:\n  - {name: new, address: \""+taken.Addr().String()+"\"}\n  - {", 1), "address already in use"},
		{"the admin listener elsewhere", strings.Replace(good, `admin: {address: "127.0.0.1:0"}`, `admin: {address: "127.0.0.1:1"}`, 1), "admin.address"},
	}
	stop := s.steady(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.file == good {
				t.Fatal("the file is still good")
			}
			s.configure(t, test.file)
			mark := s.stderr.mark()
			s.reload(t, hangup, "was not loaded; the old configuration stays")
			s.stderr.awaitText(t, mark, test.want)
			for _, proto := range protocols {
				if r := s.connect(t, proto, on("blog.test")).get(t, s.text(t, "blog.test:PORT"), "/"); r.status != 200 {
					t.Errorf("%s: %d", proto, r.status)
				}
			}
		})
	}
	// The file can be mended.
	s.configure(t, good)
	s.reload(t, hangup, "again")
	stop(1)
	if got, want := s.metrics(t, "usher_reloads_total")[`usher_reloads_total{result="error"}`], fmt.Sprint(len(tests)); got != want {
		t.Errorf("metrics count %s reloads that failed, want %s", got, want)
	}
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	s.reload(t, hangup, "was not loaded")
	if r := s.connect(t, "h2", shop).get(t, s.text(t, "shop.test:PORT"), "/"); r.status != http.StatusOK {
		t.Errorf("%d", r.status)
	}
}
