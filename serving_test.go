package usher_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh2"
)

// Property 3: new rules meet old facts, at once, while requests are served.
func TestReplaceWhileServing(t *testing.T) {
	w := newTown(t)
	open, closed := usher.Config{Sites: w.sites(t)}, usher.Config{Sites: w.sites(t)}
	quiet(&open)
	quiet(&closed)
	closed.Sites[1].ClientAuth, closed.Sites[1].ClientCAs = closed.Sites[3].ClientAuth, closed.Sites[3].ClientCAs // b
	closed.Sites = append(closed.Sites, usher.Site{Name: "late", Hosts: []string{"late.test"}, Certificates: closed.Sites[0].Certificates})
	g, addr := serveSites(t, open)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, proto := range protos {
		for range 3 {
			l := (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
			load.Go(func() {
				for ctx.Err() == nil {
					if a := l.get("a.test"); a.status != 200 {
						t.Errorf("%s: a.test, which never changes: %d", proto, a.status)
					}
					if a := l.get("b.test"); a.status != 200 && a.status != 421 {
						t.Errorf("%s: b.test: %d", proto, a.status)
					}
				}
			})
		}
	}
	lines := map[string]*line{}
	for _, proto := range protos {
		lines[proto] = (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		lines[proto+" with ann's certificate"] = (&caller{addr: addr, sni: "staff.test", proto: proto,
			tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
	}
	bad := usher.Config{Sites: append(w.sites(t), usher.Site{Name: "bad", Hosts: []string{"a.test"}})}
	quiet(&bad)
	for i := range 40 {
		rules, other := open, closed
		if i%2 == 1 {
			rules, other = closed, open
		}
		if err := g.Replace(rules); err != nil {
			t.Fatal(err)
		}
		bad.Sites = append(other.Sites[:len(other.Sites):len(other.Sites)], usher.Site{Name: "bad", Hosts: []string{"a.test"}})
		if err := g.Replace(bad); err == nil {
			t.Fatal("two sites with one host are accepted")
		}
		for name, l := range lines {
			want := map[string]int{"a.test": 200, "b.test": 200, "late.test": 421}
			if i%2 == 1 && !strings.Contains(name, "ann") {
				want["b.test"] = 421
			}
			for host, status := range want {
				l.get(host).want(t, fmt.Sprintf("%s, configuration %d, %s", name, i, host), status)
			}
		}
	}
	stop()
	load.Wait()
}

// Update is all or nothing, and asks no old connection for a new handshake.
func TestUpdateWhileServing(t *testing.T) {
	w := newTown(t)
	c := usher.Config{Sites: w.sites(t)}
	quiet(&c)
	g, addr := serveSites(t, c)
	l := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	site := func(name string, hosts ...string) usher.Site {
		return usher.Site{Name: name, Hosts: hosts, Certificates: []tls.Certificate{w.shared}}
	}
	steps := []struct {
		name   string
		sites  []usher.Site
		remove []string
		fails  bool
		want   map[string]int
	}{
		{"nothing", nil, nil, false, map[string]int{"a.test": 200, "b.test": 200}},
		{"a site goes", nil, []string{"b"}, false, map[string]int{"a.test": 200, "b.test": 421}},
		{"it goes again", nil, []string{"b"}, true, map[string]int{"b.test": 421}},
		{"it comes back", []usher.Site{site("b", "b.test")}, nil, false, map[string]int{"b.test": 200}},
		{"one of two is bad", []usher.Site{site("b", "x.test"), site("c", "a.test")}, nil, true, map[string]int{"b.test": 200, "a.test": 200}},
		{"one of two is bad, and one goes", []usher.Site{{Name: "c", Hosts: []string{"c..test"}}}, []string{"a"}, true, map[string]int{"a.test": 200}},
		{"a host moves", []usher.Site{site("b", "other-b.test"), site("c", "b.test")}, nil, false, map[string]int{"b.test": 200}},
		{"its own connections", []usher.Site{{Name: "c", Hosts: []string{"b.test"}, Certificates: []tls.Certificate{w.shared},
			OwnConnections: true}}, nil, false, map[string]int{"b.test": 421, "a.test": 200}},
	}
	for _, s := range steps {
		before := g.Table()
		if err := g.Update(s.sites, s.remove...); (err != nil) != s.fails {
			t.Fatalf("%s: %v", s.name, err)
		}
		if s.fails && g.Table() != before {
			t.Errorf("%s: the table has changed", s.name)
		}
		for host, status := range s.want {
			l.get(host).want(t, s.name+": "+host, status)
		}
	}
	if err := new(usher.Guard).Update([]usher.Site{site("a", "a.test")}); err == nil {
		t.Error("a guard without sites is updated")
	}
}

// A connection that was told of an origin (RFC 8336) which Update takes away is told to go away.
func TestUpdateAndOrigins(t *testing.T) {
	g, addr := serveSites(t, originConfig(newOriginSites(t), usher.AutoFrames))
	l := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	if list, ok := originsOf(t, l); !ok || len(list) != 2 {
		t.Fatalf("told of %q", list)
	}
	l.get("a.test:8443").want(t, "before", 200)
	if err := g.Update(nil, "b"); err != nil {
		t.Fatal(err)
	}
	l.get("a.test:8443").want(t, "after", 200)
	if !l.ended() {
		t.Error("the connection stays, and its client believes in b.test")
	}
}

// What a configuration gets wrong is said, and nothing of it applies.
func TestBadConfigurations(t *testing.T) {
	w := newTown(t)
	good := w.sites(t)[0]
	with := func(change func(*usher.Site)) usher.Config {
		s := good
		change(&s)
		return usher.Config{Sites: []usher.Site{s}}
	}
	for want, c := range map[string]usher.Config{
		"UnknownHost":        {UnknownHost: 403},
		"there are no sites": {DefaultSite: "a"},
		"is no site":         {Sites: []usher.Site{good}, DefaultSite: "b"},
		"needs ClientCAs":    with(func(s *usher.Site) { s.ClientAuth = usher.Require }),
		"protect nothing":    with(func(s *usher.Site) { s.ClientCAs = w.sites(t)[3].ClientCAs }),
		"MinVersion":         with(func(s *usher.Site) { s.MinVersion = 13 }),
		`the host "*" needs`: with(func(s *usher.Site) { s.Hosts, s.Certificates = []string{"*"}, nil }),
		"a site needs hosts": with(func(s *usher.Site) { s.Hosts = nil }),
		"empty certificate":  with(func(s *usher.Site) { s.Certificates = []tls.Certificate{{}} }),
		"no private key":     with(func(s *usher.Site) { s.Certificates = []tls.Certificate{{Certificate: w.shared.Certificate}} }),
		`no listener "x"`:    with(func(s *usher.Site) { s.Listeners = []string{"x"} }),
		`not "gopher"`:       {Listeners: []usher.Listener{{Scheme: "gopher"}}},
		"two listeners":      {Listeners: []usher.Listener{{Name: "x"}, {Name: "x"}}},
		"trusted gateways":   {Listeners: []usher.Listener{{TrustedGateways: make([]netip.Prefix, 1)}}},
		"wildcard":           with(func(s *usher.Site) { s.Hosts = []string{"a.*.test"} }),
		"cannot be served in p": with(func(s *usher.Site) {
			s.PlainHTTP, s.ClientAuth, s.ClientCAs = true, usher.Require, w.sites(t)[3].ClientCAs
		}),
	} {
		if g, err := usher.New(c); err == nil || g != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// Thousands of streams of one connection, for a host that it may carry and one that it may not.
func TestManyStreams(t *testing.T) {
	w := newTown(t)
	_, addr := serveSites(t, usher.Config{Sites: w.sites(t)})
	l := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	type sent struct {
		id     uint32
		status int
		body   string
	}
	for range 20 {
		l.renew()
		var batch []sent
		for i := range 200 {
			host := [...]string{"a.test", "cert.test", "b.test", "staff.test", "A.test", "unknown.test"}[i%6]
			s := sent{status: 421}
			if i%2 == 0 {
				s.status, s.body = 200, "served "+host
			}
			var err error
			if s.id, err = l.h2.Send(rawh2.Get("https", host, "/"), nil); err != nil {
				t.Fatal(err)
			}
			batch = append(batch, s)
		}
		for _, s := range batch {
			r, err := l.h2.Receive(s.id)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != s.status || s.body != "" && string(r.Body) != s.body {
				t.Fatalf("stream %d: %d %q, want %d %q", s.id, r.Status, r.Body, s.status, s.body)
			}
		}
	}
}

// Shutdown says GOAWAY, and requests in flight finish.
func TestShutdown(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	entered, release := make(chan struct{}, 2), make(chan struct{})
	srv := newServer(g, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		io.WriteString(rw, "finished")
	}))
	addr := serveTLS(t, g, srv)
	h2 := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	h1 := (&caller{addr: addr, sni: "a.test", proto: "h1"}).open(t)
	id, err := h2.h2.Send(rawh2.Get("https", "a.test", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan answer, 1)
	go func() { first <- h1.get("a.test") }()
	<-entered
	<-entered
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- srv.Shutdown(ctx)
	}()
	if away, err := h2.h2.WaitGoAway(); err != nil || away.Code != 0 {
		t.Fatalf("GOAWAY: %v %v", away, err)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait for the requests: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if r, err := h2.h2.Receive(id); err != nil || r.Status != 200 || string(r.Body) != "finished" {
		t.Errorf("the request in flight over HTTP/2: %v %v", r, err)
	}
	if a := <-first; a.status != 200 || a.body != "finished" || !a.close {
		t.Errorf("the request in flight over HTTP/1.1: %v", a)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := g.ServeTLS(srv, listen(t), "", ""); err != http.ErrServerClosed {
		t.Errorf("a closed server serves: %v", err)
	}
}

// A connection whose context descends from another connection's (a tunnel, say) has facts of its own.
func TestContextOfAnotherConnection(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	outer := make(chan context.Context, 1)
	srv := newServer(g, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		outer <- context.WithoutCancel(r.Context())
	}))
	staff := (&caller{addr: serveTLS(t, g, srv), sni: "staff.test", proto: "h1", tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
	staff.get("staff.test").want(t, "the outer connection", 200)
	ctx := <-outer

	inner := newServer(g, echo)
	inner.Handler = withReason(g, echo)
	inner.BaseContext = func(net.Listener) context.Context { return ctx }
	l := (&caller{addr: serveTLS(t, g, inner), sni: "a.test", proto: "h2"}).open(t)
	l.get("staff.test").wantReason(t, "inside, without a certificate", 421, authority.ClientAuthMismatch)
	l.get("a.test").wantReason(t, "inside", 200, authority.OK)
}

// A handshake that somebody makes under another connection's context (for a tunnel, say) changes nothing of that one.
func TestHandshakeUnderAnotherConnection(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	contexts := make(chan context.Context, 1)
	srv := newServer(g, echo)
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		ctx = g.ConnContext(ctx, c)
		contexts <- ctx
		return ctx
	}
	staff := (&caller{addr: serveTLS(t, g, srv), sni: "staff.test", proto: "h1", tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
	handshakeUnder(t, <-contexts, g.TLSConfig(nil))
	staff.get("staff.test").want(t, "the outer connection", 200)
}

func handshakeUnder(t *testing.T, ctx context.Context, server *tls.Config) {
	t.Helper()
	l := listen(t)
	go func() {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			tls.Client(c, &tls.Config{ServerName: "b.test", InsecureSkipVerify: true}).Handshake()
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := tls.Server(c, server).HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
}

// Property 6: whatever hooks are missing, the answer is the decision or 500, and never a request served on missing facts.
func TestMissingHooks(t *testing.T) {
	w := newTown(t)
	for hooks := range 8 {
		for _, plaintext := range []bool{false, true} {
			g := newGuard(t, usher.Config{Sites: w.sites(t), AllowPlaintext: plaintext})
			srv := newServer(g, echo)
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{w.shared}, NextProtos: []string{"h2", "http/1.1"}}
			listenerConfig := srv.TLSConfig
			if hooks&1 != 0 {
				srv.ConnContext = g.ConnContext
			}
			if hooks&2 != 0 {
				srv.TLSConfig = g.TLSConfig(srv.TLSConfig)
			}
			if hooks&4 != 0 {
				listenerConfig = srv.TLSConfig
			}
			l := listen(t)
			background(t, srv, func() error { return srv.Serve(tls.NewListener(l, listenerConfig)) })
			complete := hooks == 7
			for _, proto := range protos {
				c := (&caller{addr: l.Addr().String(), sni: "a.test", proto: proto}).open(t)
				for host, status := range map[string]int{"a.test": 200, "staff.test": 421, "cert.test": 421} {
					if !complete {
						status = 500
					}
					c.get(host).want(t, fmt.Sprintf("hooks %03b, plaintext %t, %s %s", hooks, plaintext, proto, host), status)
				}
			}
		}
	}
}
