package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/rawh2"
	"github.com/usher-http/usher/internal/testenv"
)

// TestReuse: the connection stays usable for what it is entitled to, whatever was refused on it.
func TestReuse(t *testing.T) {
	t.Parallel()
	s := play(t, "", "")
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			mark := s.stdout.mark()
			c := s.connect(t, proto, shop)
			steps := []struct {
				host   string
				status int
			}{
				{"shop.test", 200}, {"blog.test", 421}, {"api.test", 200}, {"staff.test", 421}, {"shop.test", 200},
				{"nobody.test", 421}, {"pay.test", 421}, {"api.test", 200},
			}
			for _, step := range steps {
				if r := c.get(t, s.text(t, step.host+":PORT"), "/"); r.status != step.status {
					t.Errorf("%s: %d, want %d", step.host, r.status, step.status)
				}
			}
			if got, want := connectionsOf(s.stdout.awaitEntries(t, mark, len(steps))), strings.Repeat("a", len(steps)); got != want {
				t.Errorf("connections %s", got)
			}
		})
	}
}

// TestReuseAtOnce has streams of one connection under way at the same time, each with its own answer.
func TestReuseAtOnce(t *testing.T) {
	t.Parallel()
	s := play(t, "", "")
	c := s.h2(t, shop)
	want := map[string]int{"shop.test": 200, "blog.test": 421, "api.test": 200, "staff.test": 421}
	streams := map[uint32]string{}
	for range 25 {
		for host := range want {
			id, err := c.Send(rawh2.Get("https", s.text(t, host+":PORT"), "/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			streams[id] = host
		}
	}
	for id, host := range streams {
		r, err := c.Receive(id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != want[host] {
			t.Errorf("%s: %d, want %d", host, r.Status, want[host])
		}
	}
}

// TestRetry is what clients do with a 421 (RFC 9110 section 15.5.20): "a client MAY retry the request, whether the request
// method is idempotent or not, over a different connection".
func TestRetry(t *testing.T) {
	t.Parallel()
	echo := newUpstream(t)
	s := play(t, "", fmt.Sprintf(`  - name: echo
    hosts: [echo.test]
    listeners: [public]
    tls: {issuer: local}
    upstream: %s
`, echo.url))
	s.pool.AddCert(s.localRoot(t))
	body := strings.Repeat("to be sent twice ", 2000)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			first := s.connect(t, proto, shop)
			at := s.text(t, "echo.test:PORT")
			if r := first.get(t, at, "/"); r.status != 421 {
				t.Errorf("GET on a connection for shop: %d", r.status)
			}
			if r := first.post(t, at, "/echo", body); r.status != 421 || strings.Contains(r.body, "twice") {
				t.Errorf("POST on a connection for shop: %d %.80q", r.status, r.body)
			}
			if n := echo.begun.Load(); n != 0 {
				t.Errorf("%d refused requests reached the upstream", n)
			}
			fresh := s.connect(t, proto, on("echo.test"))
			if r := fresh.get(t, at, "/"); r.status != 200 {
				t.Errorf("GET on a connection of its own: %d", r.status)
			}
			if r := fresh.post(t, at, "/echo", body); r.status != 200 || r.body != body {
				t.Errorf("POST on a connection of its own: %d, %d bytes of %d", r.status, len(r.body), len(body))
			}
			echo.begun.Store(0)
			if r := first.get(t, s.text(t, "shop.test:PORT"), "/"); r.status != 200 {
				t.Errorf("the first connection afterwards: %d", r.status)
			}
		})
	}
}

// TestOwnHostRefused: "when the refused host is the one that the connection was made for (its SNI), nothing is gained by keeping
// it, and it is closed gracefully" (docs/design.md).
func TestOwnHostRefused(t *testing.T) {
	t.Parallel()
	s := play(t, "default_site: shop", "")
	old := map[string]client{}
	for _, proto := range protocols {
		old[proto] = s.connect(t, proto, on("api.test"))
		if r := old[proto].get(t, s.text(t, "api.test:PORT"), "/"); r.status != 200 {
			t.Fatalf("%s: %d", proto, r.status)
		}
	}
	s.configure(t, strings.Replace(s.config("default_site: shop", ""), "hosts: [api.test]\n    listeners: [public, plain]\n    tls: *shared",
		"hosts: [api.test]\n    listeners: [public]\n    tls: {certificates: [{certificate: shared.pem, key: shared.key}], client_auth: require, client_ca: staff-ca.pem}", 1))
	s.reload(t, hangup, "again")
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			r := old[proto].get(t, s.text(t, "api.test:PORT"), "/")
			if r.status != 421 {
				t.Fatalf("%d", r.status)
			}
			awaitEnd(t, old[proto], r)
		})
	}
}

// awaitEnd waits until the server says that the connection ends.
func awaitEnd(t *testing.T, c client, last reply) {
	t.Helper()
	switch c := c.(type) {
	case *h1:
		if !last.closes {
			t.Error("no Connection: close")
		}
		if n, err := c.r.ReadByte(); err == nil {
			t.Errorf("read %d after the end", n)
		}
	case *h2:
		if away, err := c.WaitGoAway(); err != nil || away.Code != 0 {
			t.Errorf("GOAWAY %v, %v", away, err)
		}
	case *h3:
		select {
		case <-c.GoAway():
		case <-afterPatience():
			t.Error("no GOAWAY")
		}
	}
}

// TestNghttp: another client with an HTTP/2 of its own.
func TestNghttp(t *testing.T) {
	t.Parallel()
	program := testenv.Tool(t, "nghttp")
	s := play(t, "", "")
	for host, want := range map[string]int{"shop.test": 200, "pay.test": 200} {
		mark := s.stdout.mark()
		out, errs, code := command(t, s.cast.dir, "", program, "-v", "--timeout=30", "-H", s.text(t, ":authority: "+host+":PORT"),
			"https://"+s.at(t, "public")+"/", "https://"+s.at(t, "public")+"/again")
		if code != 0 || strings.Count(out, fmt.Sprintf(":status: %d", want)) != 2 {
			t.Errorf("%s: exit %d\n%s%s", host, code, out, errs)
		}
		for _, e := range s.stdout.awaitEntries(t, mark, 2) {
			if e.Status != want || e.Protocol != "h2" || e.SNI != host {
				t.Errorf("the log has %+v", e)
			}
		}
	}
	// The name of the connection and the host of the request apart.
	mark := s.stdout.mark()
	command(t, s.cast.dir, "", program, "--timeout=30", "-H", s.text(t, ":authority: shop.test:PORT"), "-H", s.text(t, "host: shop.test:PORT"), "https://"+s.at(t, "public")+"/")
	s.stdout.awaitEntry(t, mark, "the request with Host beside :authority", func(e entry) bool { return e.Status == 200 })
}
