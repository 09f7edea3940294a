package authority

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The world that random tables and requests are drawn from is small, so that they meet.
var (
	worldHosts     = []string{"a.test", "b.test", "x.a.test", "y.a.test", "z.x.a.test", "evil-a.test", "a.test.evil", "192.0.2.1", "[2001:db8::1]"}
	worldPatterns  = append([]string{"*.a.test", "*.test", "*.x.a.test", "*"}, worldHosts...)
	worldListeners = []Listener{{Name: "public", Scheme: HTTPS, Ports: []uint16{443, 8443}}, {Name: "other", Scheme: HTTPS, Ports: []uint16{443}}, {Name: "internal", Scheme: HTTPS, Ports: []uint16{9443}},
		{Name: "bare", Scheme: HTTPS}, {Name: "web", Scheme: HTTP, Ports: []uint16{80, 8080}}, {Name: "text", Scheme: HTTP, Ports: []uint16{8081}}}
	worldPorts    = []uint16{443, 8443, 9443, 80, 8080, 8081, 7777}
	worldNames    = [][]string{nil, {"DNS:a.test"}, {"DNS:*.a.test", "DNS:a.test"}, {"DNS:*.test", "DNS:*.a.test", "IP:192.0.2.1"}, {"DNS:b.test", "IP:2001:db8::1"}, {"DNS:*.x.a.test"}}
	worldCAs      = []string{"staff", "partners"}
	worldVersions = []uint16{0, 0x0303, 0x0304}
)

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

func some[T any](rng *rand.Rand, list []T, share float64) (out []T) {
	for _, x := range list {
		if rng.Float64() < share {
			out = append(out, x)
		}
	}
	return out
}

func randomOptions(rng *rand.Rand) Options {
	o := Options{Mode: Mode(rng.IntN(2)), UnknownNotFound: rng.IntN(2) == 0}
	if rng.IntN(4) > 0 {
		o.Listeners = some(rng, worldListeners, 0.6)
	}
	return o
}

func randomSite(rng *rand.Rand, name string, o Options) Site {
	s := Site{Name: name, MinVersion: pick(rng, worldVersions), OwnConnections: rng.IntN(4) == 0, PlainHTTP: rng.IntN(3) == 0}
	for range 1 + rng.IntN(3) {
		p := pick(rng, worldPatterns)
		if p != "*" && rng.IntN(3) == 0 {
			p += fmt.Sprintf(":%d", pick(rng, worldPorts))
		}
		s.Patterns = append(s.Patterns, MustParsePattern(p))
	}
	for _, l := range some(rng, o.Listeners, 0.4) {
		s.Listeners = append(s.Listeners, l.Name)
	}
	rng.Shuffle(len(s.Listeners), func(i, j int) { s.Listeners[i], s.Listeners[j] = s.Listeners[j], s.Listeners[i] })
	s.Certificates = namesOf([][]string{pick(rng, worldNames)})
	if rng.IntN(3) == 0 {
		s.ClientAuth, s.ClientCAs, s.PlainHTTP = ClientAuth(1+rng.IntN(2)), digestOf(pick(rng, worldCAs)), false
	}
	return s
}

func randomConn(rng *rand.Rand, o Options) *Conn {
	c := &Conn{Port: pick(rng, append([]uint16{0}, worldPorts...)), Secure: rng.IntN(4) > 0, Version: pick(rng, worldVersions)}
	c.Listener = pick(rng, []string{"", "public", "gone"})
	if len(o.Listeners) > 0 && rng.IntN(10) > 0 {
		l := pick(rng, o.Listeners)
		c.Listener = l.Name
		if rng.IntN(8) > 0 {
			c.Secure = l.Scheme == HTTPS
		}
		if len(l.Ports) > 0 {
			c.Port = pick(rng, l.Ports)
		}
	}
	c.Trusted, c.Terminated = rng.IntN(5) == 0, rng.IntN(8) == 0
	if a := MustParse(pick(rng, worldHosts)); !a.IsIP() && rng.IntN(4) > 0 {
		c.SNI = a.Host()
	}
	c.Site = pick(rng, []string{"", "s0", "s1", "s2", "s3", "s4"})
	for range rng.IntN(3) {
		c.Names = append(c.Names, namesOf([][]string{pick(rng, worldNames)})...)
	}
	if rng.IntN(2) == 0 {
		c.ClientAuth, c.ClientCAs, c.Verified = ClientAuth(1+rng.IntN(2)), digestOf(pick(rng, worldCAs)), rng.IntN(2) == 0
	}
	return c
}

func randomRequest(rng *rand.Rand, c *Conn) Request {
	r := Request{Scheme: HTTP, Authority: pick(rng, worldHosts)}
	if c.Secure {
		r.Scheme = HTTPS
	}
	if rng.IntN(5) == 0 {
		r.Scheme = Scheme(rng.IntN(3))
	}
	if rng.IntN(2) == 0 {
		r.Authority += fmt.Sprintf(":%d", pick(rng, worldPorts))
	}
	switch rng.IntN(10) {
	case 0:
		r.Authority = strings.ToUpper(r.Authority)
	case 1:
		r.Hosts = []string{r.Authority}
	case 2:
		r.Hosts = []string{pick(rng, worldHosts)}
	case 3:
		r.Authority = pick(rng, []string{"", "a..test", "u@a.test", "127.1"})
	case 4:
		ca := pick(rng, worldCAs)
		r.ClientCert = func(s *Site) bool { return s.ClientCAs == digestOf(ca) }
	}
	return r
}

// fresh returns a connection of the same facts that remembers nothing.
func fresh(c *Conn) *Conn {
	return &Conn{Listener: c.Listener, Port: c.Port, Secure: c.Secure, Trusted: c.Trusted, Terminated: c.Terminated, SNI: c.SNI,
		Site: c.Site, Names: c.Names, Version: c.Version, Protocol: c.Protocol, ClientAuth: c.ClientAuth, ClientCAs: c.ClientCAs,
		Verified: c.Verified, Resumed: c.Resumed, PerSNI: c.PerSNI}
}
