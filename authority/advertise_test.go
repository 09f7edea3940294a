package authority

import (
	"fmt"
	"slices"
	"testing"
)

// Property 1: no origin of a connection's Origin Set (the frame and the initial origin) is answered 421 on it under the
// table that made the frame. And a frame that is sent by auto says everything, because a client that has an Origin Set must
// not use the connection for an origin outside of it (RFC 8336 section 2.3).
func TestAdvertisedImpliesServed(t *testing.T) {
	rng := random(t)
	sent, wide := 0, 0
	for range 20000 {
		m := randomModel(rng)
		for i := range m.options.Listeners {
			m.options.Listeners[i].OriginFrame = OriginFrames(rng.IntN(3))
		}
		m.options.MaxOrigins = rng.IntN(4)
		table := m.table(t)
		c := randomConn(rng, m.options)
		if rng.IntN(4) > 0 {
			c.Secure, c.Trusted, c.SNI = true, false, pick(rng, []string{"a.test", "b.test", "x.a.test"})
		}
		c.Names = append(c.Names, namesOf([][]string{{"DNS:a.test", "DNS:b.test", "DNS:x.a.test", "IP:192.0.2.1"}})...)
		origins, why := table.Advertise(c)
		if (len(origins) == 0) == (why == NotSilent) {
			t.Fatalf("%d origins, silence %q", len(origins), why)
		}
		if why != NotSilent {
			continue
		}
		sent++
		if len(origins) > 1 {
			wide++
		}
		l := table.listenerNamed(c.Listener)
		all := append([]Origin{NewOrigin(HTTPS, MustParse(c.SNI).WithPort(l.advertised(c)))}, origins...)
		for i, o := range all {
			v := table.Decide(fresh(c), Request{Scheme: HTTPS, Authority: o.Authority().String()})
			if !v.Served() || v.Waived != OK {
				t.Fatalf("%s is advertised and answered %s\n%s\n%s", o, v.Reason, m.describe(), describeConn(c))
			}
			literal := slices.ContainsFunc(c.Names, func(n *Names) bool { return n.Lists(o.Authority()) })
			if i > 0 && !literal {
				t.Fatalf("%s is disclosed: the certificate does not name it", o)
			}
		}
		if !table.StillServes(c, origins) {
			t.Fatal("the table that made the frame does not stand by it")
		}
		most := m.options.MaxOrigins
		if most == 0 {
			most = DefaultMaxOrigins
		}
		if len(origins) > most {
			t.Fatalf("%d origins, the cap is %d", len(origins), most)
		}
		if l.OriginFrame == AlwaysFrames {
			continue
		}
		for _, h := range worldHosts {
			a := MustParse(h).WithPort(l.advertised(c))
			v := table.Decide(fresh(c), Request{Scheme: HTTPS, Authority: a.String()})
			if v.Served() && v.Waived == OK && !slices.Contains(origins, NewOrigin(HTTPS, a)) {
				t.Fatalf("%s is served here and the frame leaves it out: %v\n%s\n%s", a, origins, m.describe(), describeConn(c))
			}
		}
	}
	if sent < 500 || wide < 100 {
		t.Fatalf("only %d frames, %d of them with several origins: the test has lost its teeth", sent, wide)
	}
}

func TestAdvertise(t *testing.T) {
	sites := func() []Site {
		return []Site{
			{Name: "shop", Patterns: []Pattern{MustParsePattern("shop.test"), MustParsePattern("api.test"), MustParsePattern("api.test:444")}},
			{Name: "blog", Patterns: []Pattern{MustParsePattern("a-blog.test")}},
			{Name: "staff", Patterns: []Pattern{MustParsePattern("staff.test")}, ClientAuth: Require, ClientCAs: digestOf("staff")},
		}
	}
	all := []string{"DNS:shop.test", "DNS:api.test", "DNS:a-blog.test", "DNS:staff.test", "DNS:other.test"}
	for _, test := range []struct {
		name   string
		frames OriginFrames
		most   int
		change func(*Conn)
		names  []string
		want   []string
		why    Silence
	}{
		{name: "all that is served, the nearest first", names: all,
			want: []string{"https://api.test", "https://api.test:444", "https://shop.test", "https://a-blog.test"}},
		{name: "never", frames: NeverFrames, names: all, why: NeverAsked},
		{name: "wildcard", names: append(all, "DNS:*.test"), why: Wildcard},
		{name: "wildcard, always", frames: AlwaysFrames, names: append(all, "DNS:*.test"),
			want: []string{"https://api.test", "https://api.test:444", "https://shop.test", "https://a-blog.test"}},
		{name: "cap", most: 3, names: all, why: TooMany},
		{name: "cap, always", frames: AlwaysFrames, most: 3, names: all,
			want: []string{"https://api.test", "https://api.test:444", "https://shop.test"}},
		{name: "no SNI", names: all, change: func(c *Conn) { c.SNI = "" }, why: NoServerName},
		{name: "initial origin refused", names: all, change: func(c *Conn) { c.SNI = "staff.test" }, why: InitialLost},
		{name: "initial origin not ours", names: all, change: func(c *Conn) { c.SNI = "other.test" }, why: InitialLost},
		{name: "plaintext", names: all, change: func(c *Conn) { c.Secure = false }, why: NotTLS},
		{name: "trusted gateway", names: all, change: func(c *Conn) { c.Trusted = true }, why: FromGateway},
		{name: "client authentication passed", names: all,
			change: func(c *Conn) {
				c.ClientAuth, c.ClientCAs, c.Verified, c.SNI = Require, digestOf("staff"), true, "staff.test"
			},
			want: []string{"https://api.test", "https://api.test:444", "https://shop.test", "https://a-blog.test", "https://staff.test"}},
		{name: "listener gone", names: all, change: func(c *Conn) { c.Listener = "gone" }, why: ListenerGone},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{MaxOrigins: test.most, Listeners: []Listener{
				{Name: "public", Scheme: HTTPS, Ports: []uint16{443, 444}, OriginFrame: test.frames}}}
			table, err := NewTable(o, sites())
			if err != nil {
				t.Fatal(err)
			}
			c := &Conn{Listener: "public", Secure: true, SNI: "shop.test", Site: "shop", Version: 0x0304, Names: namesOf([][]string{test.names})}
			if test.change != nil {
				test.change(c)
			}
			origins, why := table.Advertise(c)
			if fmt.Sprint(origins) != fmt.Sprint(test.want) || why != test.why {
				t.Errorf("got %v %q\nwant %v %q", origins, why, test.want, test.why)
			}
		})
	}
	if _, why := new(Table).Advertise(&Conn{Secure: true, SNI: "a.test"}); why != NoSites {
		t.Errorf("the zero table: %q", why)
	}
}

// Property 3: what a connection advertised and can no longer serve is a reason to tell it to go away.
func TestStillServes(t *testing.T) {
	open := Site{Name: "a", Patterns: []Pattern{MustParsePattern("a.test")}}
	other := Site{Name: "b", Patterns: []Pattern{MustParsePattern("b.test")}}
	table, err := NewTable(Options{}, []Site{open, other})
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{Secure: true, SNI: "a.test", Site: "a", Version: 0x0304, Names: namesOf([][]string{{"DNS:a.test", "DNS:b.test"}})}
	origins, _ := table.Advertise(c)
	if len(origins) != 2 || !table.StillServes(c, origins) {
		t.Fatalf("advertised %v", origins)
	}
	other.OwnConnections = true
	next, err := table.With([]Site{other})
	if err != nil {
		t.Fatal(err)
	}
	if next.StillServes(c, origins) {
		t.Error("b.test wants connections of its own now, and the connection still stands")
	}
	if !next.StillServes(c, origins[:1]) {
		t.Error("a.test is served as before")
	}
}
