package browsers

import (
	"crypto/tls"
	"encoding/binary"
	"net/url"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/rawh2"
)

// TestAdvertisedIsServed: whatever the configuration says, no connection is told of an origin that is then answered 421 on
// it, and so no browser can be sent to and fro by the frame.
func TestAdvertisedIsServed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		frame            string
		loners, wildcard bool
		listed           int // how many origins all connections are told of, so that silence is no success
	}{
		// Everybody hears of www, img and the own site, staff of members too, since it was asked under the same authority.
		{"auto", false, false, 2 + 2 + 3 + 3 + 3 + 4},
		{"auto", true, false, 6},
		{"auto", false, true, 0},
		{"auto", true, true, 0},
		{"always", false, false, 17},
		{"always", true, false, 6},
		// What the wildcard hides, no frame lists: all hear of www, pay of itself, and each has its own site in any case.
		{"always", false, true, 1 + 2 + 2 + 2 + 2 + 2},
		{"always", true, true, 2},
		{"never", false, false, 0},
		{"never", true, false, 0},
		{"never", false, true, 0},
		{"never", true, true, 0},
	} {
		s := setting{test.frame, "h1, h2", test.loners, test.wildcard}
		g := serve(t, s, newPage(nil).upstream(t))
		n := 0
		for _, sni := range sites {
			n += g.advertised(t, s, sni)
		}
		if n != test.listed {
			t.Errorf("%+v: %d origins are listed, want %d", s, n, test.listed)
		}
	}
}

// advertised connects for a site, asks for everything that the connection is told of, and returns how much that is.
func (g *gateway) advertised(t testing.TB, s setting, sni string) int {
	t.Helper()
	config := &tls.Config{RootCAs: g.ca.Pool(), ServerName: sni + zone, NextProtos: []string{"h2"}}
	if sni == "staff" {
		config.Certificates = []tls.Certificate{g.staff.Client(t, "alice")}
	}
	nc, err := tls.Dial("tcp", "127.0.0.1:"+g.port, config)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	c, err := rawh2.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(); err != nil {
		t.Fatal(err)
	}
	var origins []string
	for _, x := range c.Extensions() {
		if x.Type == http2.FrameType(0xc) {
			origins = append(origins, parse(t, x.Payload)...)
		}
	}
	if len(origins) > 0 {
		origins = append(origins, "https://"+sni+zone+":"+g.port) // it is in the set from the start (RFC 8336 section 2.3)
	}
	slices.Sort(origins)
	origins = slices.Compact(origins)
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.Do(rawh2.Get(u.Scheme, u.Host, stepPath), nil)
		if err != nil {
			t.Fatalf("%+v: a connection for %s lists %s: %v", s, sni, origin, err)
		}
		if w.Status != 200 {
			t.Errorf("%+v: a connection for %s lists %s, which is answered %d", s, sni, origin, w.Status)
		}
	}
	return len(origins)
}

// parse reads the payload of an ORIGIN frame (RFC 8336 section 2.1).
func parse(t testing.TB, payload []byte) []string {
	t.Helper()
	var list []string
	for len(payload) > 0 {
		n := int(binary.BigEndian.Uint16(payload)) + 2
		list = append(list, string(payload[2:n]))
		payload = payload[n:]
	}
	return list
}
