package usher_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh2"
	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/originframe"
)

// newOriginSites are two open sites and one with client authentication under one certificate, and one under a wildcard.
func newOriginSites(t *testing.T) []usher.Site {
	ca := testca.New(t)
	shared := []tls.Certificate{ca.Server(t, "a.test", "b.test", "staff.test")}
	return []usher.Site{
		{Name: "a", Hosts: []string{"a.test"}, Certificates: shared},
		{Name: "b", Hosts: []string{"b.test"}, Certificates: shared},
		{Name: "staff", Hosts: []string{"staff.test"}, Certificates: shared, ClientAuth: usher.Require, ClientCAs: []*x509.Certificate{ca.Root()}},
		{Name: "wild", Hosts: []string{"*.wild.test"}, Certificates: []tls.Certificate{ca.Server(t, "*.wild.test", "www.wild.test")}},
	}
}

func originConfig(sites []usher.Site, frames usher.OriginFrames) usher.Config {
	return usher.Config{Sites: sites, Listeners: []usher.Listener{{Name: "public", Ports: []uint16{8443}, OriginFrame: frames}}}
}

// quiet switches ORIGIN frames off, for tests in which a connection outlives what it would have been told.
func quiet(c *usher.Config) {
	if len(c.Listeners) == 0 {
		c.Listeners = make([]usher.Listener, 1)
	}
	for i := range c.Listeners {
		c.Listeners[i].OriginFrame = usher.NeverFrames
	}
}

// originsOf reads what a new connection is told. ok is false where no frame came.
func originsOf(t *testing.T, l *line) (list []string, ok bool) {
	t.Helper()
	if err := l.h2.Ping(); err != nil {
		t.Fatal(err)
	}
	for _, x := range l.h2.Extensions() {
		// RFC 8336 section 2.1: "The ORIGIN frame type is 0xc (decimal 12)". Section 2.2: "The ORIGIN frame MUST be sent on
		// stream 0; an ORIGIN frame on any other stream is invalid and MUST be ignored."
		if x.Type != originframe.Type || x.StreamID != 0 || x.Flags != 0 {
			t.Fatalf("frame of type %#x, flags %#x, on stream %d", x.Type, x.Flags, x.StreamID)
		}
		if x.After != 1 {
			t.Errorf("the ORIGIN frame comes after %d frames, want it right after SETTINGS", x.After)
		}
		parsed, ignored, err := originframe.Parse(x.Payload, originframe.Limits{})
		if err != nil || ignored > 0 {
			t.Fatalf("%d entries ignored, %v", ignored, err)
		}
		for _, o := range parsed {
			list = append(list, o.String())
		}
		ok = true
	}
	return list, ok
}

func TestOriginFrame(t *testing.T) {
	sites := newOriginSites(t)
	for _, test := range []struct {
		name   string
		frames usher.OriginFrames
		sni    string
		want   string
	}{
		{"what is served here", usher.AutoFrames, "a.test", "[https://a.test:8443 https://b.test:8443] true"},
		{"the nearest first", usher.AutoFrames, "b.test", "[https://b.test:8443 https://a.test:8443] true"},
		{"upper case", usher.AutoFrames, "B.TEST", "[https://b.test:8443 https://a.test:8443] true"},
		{"hosts behind a wildcard cannot be listed", usher.AutoFrames, "www.wild.test", "[] false"},
		{"what can be listed", usher.AlwaysFrames, "www.wild.test", "[https://www.wild.test:8443] true"},
		{"never", usher.NeverFrames, "a.test", "[] false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, addr := serveSites(t, originConfig(sites, test.frames))
			l := (&caller{addr: addr, sni: test.sni, proto: "h2"}).open(t)
			list, ok := originsOf(t, l)
			if got := fmt.Sprint(list, ok); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			// Property 1: advertised implies served.
			for _, o := range list {
				parsed, err := originframe.ParseOrigin(o)
				if err != nil {
					t.Fatal(err)
				}
				if a := l.get(parsed.Authority().String()); a.status != 200 {
					t.Errorf("%s is advertised and answered %d", o, a.status)
				}
			}
		})
	}
}

func TestOriginFrameIsForHTTP2OverTLSAlone(t *testing.T) {
	sites := newOriginSites(t)
	_, addr := serveSites(t, originConfig(sites, usher.AutoFrames))
	l := (&caller{addr: addr, sni: "a.test", proto: "h1"}).open(t)
	if a := l.get("b.test:8443"); a.status != 200 || a.body != "served b.test:8443" {
		t.Errorf("HTTP/1.1: %+v", a)
	}
	var zero usher.Guard
	ca := testca.New(t)
	srv := newServer(&zero, echo)
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.test", "b.test")}}
	h2 := (&caller{addr: serveTLS(t, &zero, srv), sni: "a.test", proto: "h2"}).open(t)
	if list, ok := originsOf(t, h2); ok {
		t.Errorf("a guard without sites knows no origins, and told %v", list)
	}
}

func TestOriginFrameCap(t *testing.T) {
	ca := testca.New(t)
	var hosts []string
	for i := range 5 {
		hosts = append(hosts, fmt.Sprintf("h%d.test", i))
	}
	sites := []usher.Site{{Name: "many", Hosts: hosts, Certificates: []tls.Certificate{ca.Server(t, hosts...)}}}
	for _, test := range []struct {
		frames usher.OriginFrames
		most   int
		want   int
	}{{usher.AutoFrames, 5, 5}, {usher.AutoFrames, 4, 0}, {usher.AlwaysFrames, 4, 4}} {
		c := originConfig(sites, test.frames)
		c.MaxOrigins = test.most
		_, addr := serveSites(t, c)
		list, _ := originsOf(t, (&caller{addr: addr, sni: "h0.test", proto: "h2"}).open(t))
		if len(list) != test.want {
			t.Errorf("%s with a cap of %d: %v", test.frames, test.most, list)
		}
	}
}

// A client that was told of an origin goes on using the connection for it: after a reload that takes the origin away, the
// connection says goodbye with its next response, whatever that is for. GOAWAY: RFC 9113 section 6.8.
func TestOriginTakenAwayEndsTheConnection(t *testing.T) {
	sites := newOriginSites(t)
	g, addr := serveSites(t, originConfig(sites, usher.AutoFrames))
	l := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	if _, ok := originsOf(t, l); !ok {
		t.Fatal("no frame")
	}
	other := append([]usher.Site(nil), sites...)
	other[0].PlainHTTP = true
	if err := g.Replace(originConfig(other, usher.AutoFrames)); err != nil {
		t.Fatal(err)
	}
	if a := l.get("a.test:8443"); a.status != 200 {
		t.Fatal(a)
	}
	if err := l.h2.Ping(); err != nil || l.h2.GoneAway() != nil {
		t.Fatal("a change that takes nothing away ends the connection", err)
	}
	other[1].OwnConnections = true
	if err := g.Replace(originConfig(other, usher.AutoFrames)); err != nil {
		t.Fatal(err)
	}
	if a := l.get("a.test:8443"); a.status != 200 {
		t.Fatalf("a.test is served as before, not %d", a.status)
	}
	if _, err := l.h2.WaitGoAway(); err != nil {
		t.Fatal(err)
	}
}

func TestOriginConnGoesAwayOnShutdown(t *testing.T) {
	sites := newOriginSites(t)
	g := newGuard(t, originConfig(sites, usher.AutoFrames))
	begun, end := make(chan struct{}), make(chan struct{})
	srv := newServer(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-end
		echo.ServeHTTP(w, r)
	}))
	l := (&caller{addr: serveTLS(t, g, srv), sni: "a.test", proto: "h2"}).open(t)
	if _, ok := originsOf(t, l); !ok {
		t.Fatal("no frame")
	}
	id, err := l.h2.Send(rawh2.Get("https", "a.test:8443", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	if _, err := l.h2.WaitGoAway(); err != nil {
		t.Fatal(err)
	}
	close(end)
	r, err := l.h2.Receive(id)
	if err != nil || r.Status != 200 {
		t.Fatal(r, err)
	}
	l.conn.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A server has no use for ORIGIN frames. RFC 9113 section 4.1: "Implementations MUST ignore and discard frames of unknown
// types." Thousands of them, with flags, on other streams, cut ones, cost a connection nothing but their bytes.
func TestOriginFramesFromClientsAreIgnored(t *testing.T) {
	_, addr := serveSites(t, originConfig(newOriginSites(t), usher.AutoFrames))
	l := (&caller{addr: addr, sni: "a.test", proto: "h2"}).open(t)
	l.get("a.test:8443").want(t, "before", 200)
	payload, err := originframe.Append(nil, []authority.Origin{authority.NewOrigin(authority.HTTPS, authority.MustParse("evil.test"))})
	if err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(l.conn, nil)
	for i := range 3000 {
		body := payload
		if i%3 == 1 {
			body = payload[:len(payload)-i%len(payload)]
		}
		if err := framer.WriteRawFrame(originframe.Type, http2.Flags(i%16), uint32(i%4), body); err != nil {
			t.Fatal(err)
		}
	}
	l.get("a.test:8443").want(t, "after thousands", 200)
	l.get("evil.test:8443").want(t, "what the client advertises is not ours", 421)
	// RFC 9113 section 4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in
	// SETTINGS_MAX_FRAME_SIZE".
	// It is told by the header: what of the rest nobody has read when the connection is closed would reset it, GOAWAY or not.
	if _, err := l.conn.Write([]byte{0x10, 0, 1, originframe.Type, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if gone, err := l.h2.WaitGoAway(); err != nil || gone.Code != http2.ErrCodeFrameSize {
		t.Errorf("an oversized frame: %+v, %v", gone, err)
	}
}
