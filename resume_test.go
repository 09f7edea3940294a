package usher_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/testca"
)

// town is a set of sites that differ from one another in one point each.
type town struct {
	ca, ca1, ca2 *testca.CA
	shared       tls.Certificate
	client       tls.Certificate // of ca1
}

func newTown(t testing.TB) *town {
	w := &town{ca: testca.New(t), ca1: testca.New(t), ca2: testca.New(t)}
	w.shared = w.ca.Server(t, "a.test", "a2.test", "b.test", "staff.test", "staff2.test", "maybe.test", "other.test", "wide.test",
		"new.test", "own.test", "uncovered.example")
	w.client = w.ca1.Client(t, "ann")
	return w
}

func (w *town) sites(t testing.TB) []usher.Site {
	shared := []tls.Certificate{w.shared}
	set := func(cas ...*testca.CA) (list []*x509.Certificate) {
		for _, ca := range cas {
			list = append(list, ca.Root())
		}
		return list
	}
	return []usher.Site{
		{Name: "a", Hosts: []string{"a.test", "a2.test"}, Certificates: shared},
		{Name: "b", Hosts: []string{"b.test"}, Certificates: shared},
		{Name: "cert", Hosts: []string{"cert.test"}, Certificates: []tls.Certificate{w.ca.Server(t, "cert.test")}},
		{Name: "staff", Hosts: []string{"staff.test"}, Certificates: shared, ClientAuth: usher.Require, ClientCAs: set(w.ca1)},
		{Name: "staff2", Hosts: []string{"staff2.test"}, Certificates: shared, ClientAuth: usher.Require, ClientCAs: set(w.ca1)},
		{Name: "maybe", Hosts: []string{"maybe.test"}, Certificates: shared, ClientAuth: usher.Optional, ClientCAs: set(w.ca1)},
		{Name: "other", Hosts: []string{"other.test"}, Certificates: shared, ClientAuth: usher.Require, ClientCAs: set(w.ca2)},
		{Name: "wide", Hosts: []string{"wide.test"}, Certificates: shared, ClientAuth: usher.Require, ClientCAs: set(w.ca1, w.ca2)},
		{Name: "new", Hosts: []string{"new.test"}, Certificates: shared, MinVersion: tls.VersionTLS13},
		{Name: "own", Hosts: []string{"own.test"}, Certificates: shared, OwnConnections: true},
	}
}

func TestResumption(t *testing.T) {
	const (
		full   = "full handshake"
		resume = "resumption"
		fails  = "no handshake"
	)
	tests := []struct {
		from, to string
		tls12    string
		tls13    string
	}{
		{"a.test", "a.test", resume, resume},
		{"a.test", "A.TEST", resume, resume},
		// RFC 6066 section 3: "A server that implements this extension MUST NOT accept the request to resume the session if
		// the server_name extension contains a different name."
		{"a.test", "a2.test", full, resume},
		{"a.test", "b.test", full, full},
		{"a.test", "cert.test", full, full},
		{"a.test", "own.test", full, full},
		{"a.test", "staff.test", full, full},
		{"a.test", "maybe.test", full, full},
		{"a.test", "unknown.test", fails, fails},
		{"a.test", "", fails, fails},
		{"staff.test", "staff.test", resume, resume},
		{"staff.test", "staff2.test", full, full},
		{"staff.test", "maybe.test", full, full},
		{"staff.test", "wide.test", full, full},
		{"staff.test", "a.test", full, full},
		{"staff.test", "other.test", fails, fails}, // ann is none of theirs
		{"maybe.test", "maybe.test", resume, resume},
		{"maybe.test", "staff.test", full, full},
		{"own.test", "own.test", resume, resume},
		{"own.test", "a.test", full, full},
		{"new.test", "new.test", fails, resume},
		{"new.test", "a.test", fails, full},
		{"a.test", "new.test", fails, full},
	}
	w := newTown(t)
	_, addr := serveSites(t, usher.Config{Sites: w.sites(t)})
	for _, test := range tests {
		for version, want := range map[uint16]string{tls.VersionTLS12: test.tls12, tls.VersionTLS13: test.tls13} {
			name := fmt.Sprintf("%s, then %q, TLS %#x", test.from, test.to, version)
			var s shelf
			c := caller{addr: addr, sni: test.from, proto: "h1", tls: tls.Config{MinVersion: version, MaxVersion: version,
				ClientSessionCache: &s, Certificates: []tls.Certificate{w.client}}}
			if status, err := c.try(test.from); err != nil {
				if want != fails {
					t.Errorf("%s: the first handshake: %v", name, err)
				}
				continue
			} else if status != 200 || s.state == nil {
				t.Fatalf("%s: the first connection: status %d, ticket %t", name, status, s.state != nil)
			}
			c.sni = test.to
			s.full = true
			if status, err := c.try(strings.ToLower(test.to)); err != nil {
				if want != fails {
					t.Errorf("%s: %v, want %s", name, err, want)
				}
				continue
			} else if status != 200 && test.to != "" {
				t.Errorf("%s: status %d", name, status)
			}
			l := c.open(t)
			got := full
			if l.conn.ConnectionState().DidResume {
				got = resume
			}
			if got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
			if got == resume {
				checkResumed(t, name, l, test.to)
			}
		}
	}
}

// checkResumed asks all sites on a resumed connection: it is entitled to what its full handshake was.
func checkResumed(t *testing.T, name string, l *line, sni string) {
	t.Helper()
	open := []string{"a.test", "a2.test", "b.test"}
	switch strings.ToLower(sni) {
	case "staff.test", "maybe.test": // ann showed her certificate at both
		open = append(open, "staff.test", "staff2.test")
	case "own.test":
		open = append(open, "own.test")
	}
	for _, host := range []string{"a.test", "a2.test", "b.test", "staff.test", "staff2.test", "wide.test", "other.test", "own.test", "cert.test"} {
		want := 421
		if slices.Contains(open, host) {
			want = 200
		}
		if got := l.get(host).status; got != want {
			t.Errorf("%s: %s answers %d, want %d", name, host, got, want)
		}
	}
}

// The alert is the same with the ticket of a site that exists.
func TestUnknownNameWithTicket(t *testing.T) {
	w := newTown(t)
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	srv := newServer(g, echo)
	srv.TLSConfig = g.TLSConfig(nil)
	srv.TLSConfig.SetSessionTicketKeys([][32]byte{{1}}) // so that whatever configuration comes can open the ticket
	addr := serveTLS(t, g, srv)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var s shelf
		c := caller{addr: addr, sni: "a.test", proto: "h1",
			tls: tls.Config{MinVersion: version, MaxVersion: version, ClientSessionCache: &s}}
		c.open(t).get("a.test").want(t, "first", 200)
		for _, sni := range []string{"unknown.test", "", "127.0.0.1"} {
			c.sni = sni
			if _, err := c.dial("http/1.1"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("TLS %#x, SNI %q: %v, want the alert unrecognized_name", version, sni, err)
			}
		}
	}
}

// Tickets mean the same after a reload: the sites that changed make full handshakes, the others resume.
func TestTicketsAfterReplace(t *testing.T) {
	w := newTown(t)
	changes := map[string]struct {
		change  func(*usher.Config)
		resumes bool
	}{
		"nothing":             {func(*usher.Config) {}, true},
		"another site":        {func(c *usher.Config) { c.Sites = append(c.Sites[:1:1], c.Sites[3:]...) }, true},
		"another host":        {func(c *usher.Config) { c.Sites[3].Hosts = append(c.Sites[3].Hosts, "x.test") }, true},
		"the mode":            {func(c *usher.Config) { c.Mode = usher.Observe }, true},
		"a renewed leaf":      {func(c *usher.Config) { c.Sites[3].Certificates = []tls.Certificate{w.ca.Server(t, "staff.test")} }, false},
		"the site's name":     {func(c *usher.Config) { c.Sites[3].Name = "crew" }, false},
		"minimum version":     {func(c *usher.Config) { c.Sites[3].MinVersion = tls.VersionTLS13 }, false},
		"client auth":         {func(c *usher.Config) { c.Sites[3].ClientAuth = usher.Optional }, false},
		"a further CA":        {func(c *usher.Config) { c.Sites[3].ClientCAs = append(c.Sites[3].ClientCAs, w.ca2.Root()) }, false},
		"the same CA twice":   {func(c *usher.Config) { c.Sites[3].ClientCAs = append(c.Sites[3].ClientCAs, w.ca1.Root()) }, true},
		"the verifier":        {func(c *usher.Config) { c.VerifierID = "another" }, false},
		"own connections":     {func(c *usher.Config) { c.Sites[3].OwnConnections = true }, true},
		"a renewed neighbour": {func(c *usher.Config) { c.Sites[0].Certificates = []tls.Certificate{w.ca.Server(t, "a.test")} }, true},
	}
	for name, test := range changes {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if name == "minimum version" && version == tls.VersionTLS12 {
				continue
			}
			g, addr := serveSites(t, usher.Config{Sites: w.sites(t)})
			var s shelf
			c := caller{addr: addr, sni: "staff.test", proto: "h1", tls: tls.Config{MinVersion: version, MaxVersion: version,
				ClientSessionCache: &s, Certificates: []tls.Certificate{w.client}}}
			c.open(t).get("staff.test").want(t, name, 200)
			next := usher.Config{Sites: w.sites(t)}
			test.change(&next)
			if err := g.Replace(next); err != nil {
				t.Fatal(name, err)
			}
			l := c.open(t)
			l.get("staff.test").want(t, name, 200)
			if got := l.conn.ConnectionState().DidResume; got != test.resumes {
				t.Errorf("after a change of %s, TLS %#x: resumed %t, want %t", name, version, got, test.resumes)
			}
		}
	}
}

// Two nodes with the same sites and the same ticket keys share sessions, a third with other keys does not.
func TestTicketsOfAnotherNode(t *testing.T) {
	w := newTown(t)
	sites := w.sites(t)
	node := func(key byte) string {
		g := newGuard(t, usher.Config{Sites: sites})
		srv := newServer(g, echo)
		config := g.TLSConfig(nil)
		srv.TLSConfig = config
		addr := serveTLS(t, g, srv)
		config.SetSessionTicketKeys([][32]byte{{key}}) // while serving, as a rotation does
		return addr
	}
	first, second, third := node(1), node(1), node(2)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var s shelf
		c := caller{addr: first, sni: "staff.test", proto: "h1", tls: tls.Config{MinVersion: version, MaxVersion: version,
			ClientSessionCache: &s, Certificates: []tls.Certificate{w.client}}}
		c.open(t).get("staff.test").want(t, "the first node", 200)
		s.full = true
		for addr, want := range map[string]bool{first: true, second: true, third: false} {
			c.addr = addr
			l := c.open(t)
			l.get("staff.test").want(t, "a node", 200)
			if got := l.conn.ConnectionState().DidResume; got != want {
				t.Errorf("TLS %#x: resumed %t, want %t", version, got, want)
			}
		}
	}
}

// A caller's own WrapSession and UnwrapSession still see every ticket, and what they keep in Extra stays.
func TestOwnWrapSession(t *testing.T) {
	w := newTown(t)
	for _, withSites := range []bool{true, false} {
		var wrapped, unwrapped, lost atomic.Int32
		keys := new(tls.Config)
		base := &tls.Config{
			Certificates: []tls.Certificate{w.shared},
			WrapSession: func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
				wrapped.Add(1)
				ss.Extra = append(ss.Extra, []byte("mine"))
				return keys.EncryptTicket(cs, ss)
			},
			UnwrapSession: func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
				ss, err := keys.DecryptTicket(ticket, cs)
				if ss == nil {
					return nil, err
				}
				unwrapped.Add(1)
				if !slices.ContainsFunc(ss.Extra, func(e []byte) bool { return string(e) == "mine" }) {
					lost.Add(1)
				}
				return ss, nil
			},
		}
		c := usher.Config{}
		if withSites {
			c.Sites = w.sites(t)
		}
		g := newGuard(t, c)
		srv := newServer(g, echo)
		srv.TLSConfig = base
		addr := serveTLS(t, g, srv)
		var s shelf
		call := caller{addr: addr, sni: "a.test", proto: "h1", tls: tls.Config{ClientSessionCache: &s}}
		for i := range 3 { // tickets of resumed connections too
			l := call.open(t)
			l.get("a.test").want(t, "own wrap", 200)
			if got := l.conn.ConnectionState().DidResume; got != (i > 0) {
				t.Errorf("sites %t, connection %d: resumed %t", withSites, i, got)
			}
		}
		call.sni = "b.test"
		if l := call.open(t); l.conn.ConnectionState().DidResume {
			t.Errorf("sites %t: the ticket of a.test opens b.test", withSites)
		}
		if wrapped.Load() < 3 || unwrapped.Load() < 3 || lost.Load() != 0 {
			t.Errorf("sites %t: wrapped %d, unwrapped %d, lost %d", withSites, wrapped.Load(), unwrapped.Load(), lost.Load())
		}
	}
}

// Property 2 from end to end: under random policies a ticket is resumed if and only if the policy is the same.
func TestTicketProperty(t *testing.T) {
	w := newTown(t)
	certs := []tls.Certificate{w.ca.Server(t, "a.test"), w.ca.Server(t, "a.test")}
	type policy struct {
		name, verifier     string
		auth               usher.ClientAuth
		cas, version, leaf int
	}
	config := func(p policy) usher.Config {
		s := usher.Site{Name: p.name, Hosts: []string{"a.test"}, Certificates: certs[p.leaf : p.leaf+1], ClientAuth: p.auth}
		if p.auth != usher.None {
			s.ClientCAs = [][]*x509.Certificate{
				{w.ca1.Root()}, {w.ca1.Root(), w.ca2.Root()},
			}[p.cas]
		}
		s.MinVersion = []uint16{0, tls.VersionTLS12}[p.version]
		return usher.Config{Sites: []usher.Site{s}, VerifierID: p.verifier}
	}
	r := rand.New(rand.NewPCG(1, 2))
	random := func() policy {
		p := policy{
			name: []string{"a", "b"}[r.IntN(2)], verifier: []string{"", "v"}[r.IntN(2)], auth: usher.ClientAuth(r.IntN(3)),
			cas: r.IntN(2), version: r.IntN(2), leaf: r.IntN(2),
		}
		if p.auth == usher.None {
			p.cas = 0
		}
		return p
	}
	l, equal := listen(t), 0
	for range 150 {
		p, q := random(), random()
		if r.IntN(3) == 0 {
			q = p
		}
		version := []uint16{tls.VersionTLS12, tls.VersionTLS13}[r.IntN(2)]
		g := newGuard(t, config(p))
		server := g.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS10})
		var s shelf
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", MinVersion: version, MaxVersion: version,
			ClientSessionCache: &s, Certificates: []tls.Certificate{w.client}}
		handshake(t, l, server, client)
		if err := g.Replace(config(q)); err != nil {
			t.Fatal(err)
		}
		if got, want := handshake(t, l, server, client), p == q; got != want {
			t.Fatalf("TLS %#x: a ticket of %+v under %+v: resumed %t", version, p, q, got)
		}
		if p == q {
			equal++
		}
	}
	if equal < 20 {
		t.Errorf("only %d pairs of equal policies", equal)
	}
}

// handshake makes a connection and reports whether it was resumed.
func handshake(t testing.TB, l net.Listener, server, client *tls.Config) bool {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		b, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer b.Close()
		s := tls.Server(b, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x")) // after the ticket
		}
		done <- err
	}()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	c := tls.Client(a, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}
