package h3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/rawh3"
)

// A ticketCache is a client that offers its one ticket to every server name.
type ticketCache struct{ tickets chan *tls.ClientSessionState }

func newTicketCache() *ticketCache { return &ticketCache{make(chan *tls.ClientSessionState, 1)} }

func (c *ticketCache) Get(string) (*tls.ClientSessionState, bool) {
	select {
	case s := <-c.tickets:
		return s, true
	default:
		return nil, false
	}
}

func (c *ticketCache) Put(_ string, s *tls.ClientSessionState) {
	if s == nil {
		return
	}
	select {
	case <-c.tickets:
	default:
	}
	c.tickets <- s
}

// has waits until there is a ticket.
func (c *ticketCache) has(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(c.tickets) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ticket came")
		}
	}
}

func with(config *tls.Config, cache *ticketCache) *tls.Config {
	config.ClientSessionCache = cache
	return config
}

// resumed makes a connection and reports whether it resumed.
func resumed(t testing.TB, w *world, config *tls.Config) (*rawh3.Conn, bool) {
	t.Helper()
	c := w.dial(t, config)
	return c, c.QUIC.ConnectionState().TLS.DidResume
}

// TestResumption: a ticket opens what it was made under, and nothing else.
func TestResumption(t *testing.T) {
	w := newWorld(t).serve(t)
	tests := []struct {
		name     string
		from, to *tls.Config
		host     string
		resumes  bool
		status   int // for to's server name; 0: the handshake fails
	}{
		{"the same host", w.tls("open.example"), w.tls("open.example"), "open.example", true, 200},
		{"another host of the site", w.tls("open.example"), w.tls("second.example"), "second.example", true, 200},
		{"the same host in another case", w.tls("open.example"), w.tls("OPEN.example"), "open.example", true, 200},
		{"client authentication, the same site", w.withCert(t, "admin.example"), w.tls("admin.example"), "admin.example", true, 200},
		{"another site with the same certificate", w.tls("open.example"), w.tls("solo.example"), "solo.example", false, 200},
		{"another site with another certificate", w.tls("open.example"), w.tls("apart.example"), "apart.example", false, 200},
		{"optional from open", w.tls("open.example"), w.tls("member.example"), "member.example", false, 200},
		{"require from open", w.tls("open.example"), w.tls("admin.example"), "admin.example", false, 0},
		{"require from optional", w.withCert(t, "member.example"), w.tls("admin.example"), "admin.example", false, 0},
		{"open from require", w.withCert(t, "admin.example"), w.tls("open.example"), "open.example", false, 200},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cache := newTicketCache()
			first, did := resumed(t, w, with(test.from, cache))
			if did {
				t.Fatal("the first connection resumed")
			}
			cache.has(t)
			first.Close()
			config := with(test.to, cache)
			if test.status == 0 {
				wantNoHandshake(t, w, config)
				return
			}
			c, did := resumed(t, w, config)
			if did != test.resumes {
				t.Errorf("resumed: %v", did)
			}
			wantStatus(t, c, test.host, test.status)
			if test.host != "admin.example" {
				// Whatever the ticket was made under, it proves nothing to the site with client authentication.
				wantStatus(t, c, "admin.example", 421)
			}
		})
	}
}

// wantNoHandshake sees a connection fail, or, with TLS 1.3, end as soon as the server has seen what the client lacks.
func wantNoHandshake(t testing.TB, w *world, config *tls.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := rawh3.Dial(ctx, w.addr, config, nil)
	if err == nil {
		defer c.Close()
		var res *rawh3.Response
		if res, err = c.Do(ctx, rawh3.Get(config.ServerName, "/"), ""); err == nil {
			t.Fatalf("answered %d %q", res.Status, res.Body)
		}
	}
	wantAlert(t, err, 116) // certificate_required
}

func wantAlert(t testing.TB, err error, alert uint64) {
	t.Helper()
	e, ok := errors.AsType[*quic.TransportError](err)
	if !ok || !e.Remote || uint64(e.ErrorCode) != 0x100+alert {
		t.Errorf("error %v, want alert %d", err, alert)
	}
}

// TestUnknownSNI: without a default site such handshakes end with unrecognized_name (112), with a ticket too.
func TestUnknownSNI(t *testing.T) {
	w := newWorld(t).serve(t)
	cache := newTicketCache()
	first, _ := resumed(t, w, with(w.tls("open.example"), cache))
	cache.has(t)
	first.Close()
	for _, sni := range []string{"unknown.example", "nowhere.example"} {
		_, err := rawh3.Dial(t.Context(), w.addr, with(w.tls(sni), cache), nil)
		wantAlert(t, err, 112)
	}
	// crypto/tls sends no IP literal, so this is a handshake without SNI.
	_, err := rawh3.Dial(t.Context(), w.addr, w.tls("127.0.0.1"), nil)
	wantAlert(t, err, 112)

	// "Endpoints MUST use ALPN": QUIC with another protocol ends with no_application_protocol (RFC 9001 section 8.1).
	config := w.tls("open.example")
	config.NextProtos = []string{"h2"}
	_, err = rawh3.Dial(t.Context(), w.addr, config, nil)
	wantAlert(t, err, 120)
}

// TestDefaultSite: with one they are served by its rules.
func TestDefaultSite(t *testing.T) {
	w := newWorld(t)
	w.config.DefaultSite = "open"
	w.serve(t)
	config := w.tls("127.0.0.1")
	config.InsecureSkipVerify = true
	c := w.dial(t, config)
	wantStatus(t, c, "open.example", 200)
	wantStatus(t, c, "admin.example", 421)
}

// TestSharedConfiguration: a configuration that the guard made for HTTP/1.1 and HTTP/2 serves HTTP/3 too.
func TestSharedConfiguration(t *testing.T) {
	w := newWorld(t)
	guard, err := usher.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.guard = guard
	w.server.TLSConfig = guard.TLSConfig(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	w.serve(t)
	cache := newTicketCache()
	c, _ := resumed(t, w, with(w.tls("open.example"), cache))
	wantStatus(t, c, "open.example", 200)
	wantStatus(t, c, "admin.example", 421)
	cache.has(t)
	if _, did := resumed(t, w, with(w.tls("open.example"), cache)); !did {
		t.Error("not resumed")
	}
}

// early makes a second connection that sends a request in early data, and returns it with the answer; without one where it was
// not accepted. Early data that is lost is not sent again until the handshake has ended: then it is tried once more.
func early(t *testing.T, w *world, config *tls.Config, host string) (*rawh3.Conn, *rawh3.Response) {
	t.Helper()
	cache := newTicketCache()
	for range 5 {
		first := w.dial(t, with(config, cache))
		wantStatus(t, first, host, 200)
		cache.has(t)
		first.Close()
		c, res, err := tryEarly(t, w, config, host)
		switch {
		case errors.Is(err, quic.Err0RTTRejected):
			return c, nil
		case err == nil:
			return c, res
		}
		t.Log(err)
	}
	t.Fatal("early data is lost again and again")
	return nil, nil
}

func tryEarly(t *testing.T, w *world, config *tls.Config, host string) (*rawh3.Conn, *rawh3.Response, error) {
	t.Helper()
	r := newRelay(t, w.addr)
	defer r.finishes.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than the idle limit
	defer cancel()
	c, err := rawh3.DialEarly(ctx, r.addr, config, nil)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Headers(rawh3.Get(host, "/"))
	s.End()
	r.answers.Store(true)
	res, err := s.Response()
	return c, res, err
}

// TestEarlyDataOff is the default: the session is resumed, without early data.
func TestEarlyDataOff(t *testing.T) {
	w := newWorld(t)
	w.server.QUICConfig = &quic.Config{Allow0RTT: true} // EarlyData is what counts
	w.serve(t)
	cache := newTicketCache()
	config := with(w.tls("open.example"), cache)
	first := w.dial(t, config)
	cache.has(t)
	first.Close()
	c, err := rawh3.DialEarly(t.Context(), w.addr, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	wantStatus(t, c, "open.example", 200)
	<-c.QUIC.HandshakeComplete()
	if state := c.QUIC.ConnectionState(); state.Used0RTT || !state.TLS.DidResume {
		t.Errorf("early data %v, resumed %v", state.Used0RTT, state.TLS.DidResume)
	}
}

// TestEarlyData: "If the server responds with 425, the client retries the request without early data" (RFC 8470
// section 5.2): so do sites with client authentication.
func TestEarlyData(t *testing.T) {
	w := newWorld(t)
	w.server.EarlyData = true
	w.serve(t)
	for _, test := range []struct {
		host   string
		config *tls.Config
		status int
	}{
		{"open.example", w.tls("open.example"), 200},
		{"admin.example", w.withCert(t, "admin.example"), 425},
		{"member.example", w.tls("member.example"), 425},
	} {
		t.Run(test.host, func(t *testing.T) {
			c, res := early(t, w, test.config, test.host)
			<-c.QUIC.HandshakeComplete()
			if !c.QUIC.ConnectionState().Used0RTT || res == nil {
				t.Fatal("no early data")
			}
			if res.Status != test.status {
				t.Errorf("%d in early data, want %d", res.Status, test.status)
			}
			wantStatus(t, c, test.host, 200)
		})
	}
}

// TestEarlyDataWithoutSites: a replayed request would act with the client's certificate there, too. Who has shown none can act for
// nobody.
func TestEarlyDataWithoutSites(t *testing.T) {
	w := newWorld(t)
	w.config = usher.Config{VerifierID: "staff", Logger: w.config.Logger}
	w.server.EarlyData = true
	w.server.Listener = ""
	w.server.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{w.ca.Server(t, "open.example")},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    w.staff.Pool(),
	}
	w.serve(t)
	for _, test := range []struct {
		name   string
		config *tls.Config
		status int
	}{
		{"with a certificate", w.withCert(t, "open.example"), 425},
		{"without", w.tls("open.example"), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, res := early(t, w, test.config, "open.example")
			<-c.QUIC.HandshakeComplete()
			if !c.QUIC.ConnectionState().Used0RTT || res == nil {
				t.Fatal("no early data")
			}
			if res.Status != test.status {
				t.Errorf("%d in early data, want %d", res.Status, test.status)
			}
			wantStatus(t, c, "open.example", 200)
		})
	}
}

// TestEarlyDataSettings: early data that was sent under a larger limit is not accepted.
func TestEarlyDataSettings(t *testing.T) {
	w := newWorld(t)
	guard, err := usher.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.guard = guard
	w.server.EarlyData = true
	w.server.TLSConfig = &tls.Config{}
	w.server.TLSConfig.SetSessionTicketKeys([][32]byte{{1}})
	w.serve(t)
	for _, test := range []struct {
		limit int
		used  bool
	}{{0, true}, {1 << 12, false}} {
		second := newWorld(t)
		second.guard = w.guard
		second.server.EarlyData, second.server.TLSConfig = true, w.server.TLSConfig
		second.server.MaxHeaderBytes = test.limit
		second.serve(t)
		cache := newTicketCache()
		config := with(w.tls("open.example"), cache)
		first := w.dial(t, config)
		cache.has(t)
		first.Close()
		r := newRelay(t, second.addr)
		r.finishes.Store(true)
		c, err := rawh3.DialEarly(t.Context(), r.addr, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.answers.Store(true)
		<-c.QUIC.HandshakeComplete()
		if state := c.QUIC.ConnectionState(); state.Used0RTT != test.used || !state.TLS.DidResume {
			t.Errorf("MaxHeaderBytes %d: early data %v, resumed %v", test.limit, state.Used0RTT, state.TLS.DidResume)
		}
		c.Close()
	}
}
