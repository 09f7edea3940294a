package wire_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// echo says what the server saw.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Host", r.Host)
	w.Header().Set("X-Agent", r.UserAgent())
	switch r.URL.Path {
	case "/large":
		io.WriteString(w, strings.Repeat("0123456789", 20_000))
	case "/gone":
		panic(http.ErrAbortHandler)
	default:
		io.WriteString(w, r.Method+" "+r.TLS.ServerName)
	}
})

// servers is a server of net/http for HTTP/1.1 and 2 and one of quic-go for HTTP/3, which take client certificates.
func servers(t *testing.T) (config *tls.Config, address map[wire.Protocol]netip.AddrPort) {
	t.Helper()
	ca := testca.New(t)
	config = &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.test", "b.test")}, ClientAuth: tls.RequestClientCert}
	srv := httptest.NewUnstartedServer(echo)
	srv.TLS = config.Clone()
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tcp := srv.Listener.Addr().(*net.TCPAddr).AddrPort()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h3 := &http3.Server{Handler: echo, TLSConfig: http3.ConfigureTLSConfig(config.Clone())}
	go h3.Serve(udp)
	t.Cleanup(func() { h3.Close(); udp.Close() })
	return config, map[wire.Protocol]netip.AddrPort{wire.H1: tcp, wire.H2: tcp, wire.H3: udp.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func TestExchange(t *testing.T) {
	_, address := servers(t)
	me := testca.New(t).Client(t, "me")
	for _, proto := range []wire.Protocol{wire.H1, wire.H2, wire.H3} {
		t.Run(string(proto), func(t *testing.T) {
			c := open(t, wire.Dial{Address: address[proto], Protocol: proto, Certificate: &me})
			if f := c.Facts; !f.Asked || !f.Shown || f.Resumed || f.Version != tls.VersionTLS13 || f.Leaf().VerifyHostname("b.test") != nil {
				t.Errorf("facts %+v", f)
			}
			a := c.Do(t.Context(), &wire.Request{Authority: "b.test", UserAgent: "probe"})
			if a.Status != 200 || string(a.Body) != "GET a.test" || a.Field("x-host") != "b.test" || a.Field("x-agent") != "probe" || !a.OK() || a.Closed {
				t.Errorf("%+v %s", a, a.Body)
			}
			// More than the limit ends the answer, and over HTTP/1.1 the connection.
			a = c.Do(t.Context(), &wire.Request{Authority: "a.test", Path: "/large"})
			if !a.Truncated || a.Size != int64(tight.Body) || a.Status != 200 {
				t.Errorf("%d bytes, truncated %v, status %d %s", a.Size, a.Truncated, a.Status, a.Detail)
			}
			if c.Usable() != (proto != wire.H1) {
				t.Errorf("usable %v", c.Usable())
			}
			if proto == wire.H1 {
				return
			}
			if a = c.Do(t.Context(), &wire.Request{Method: "HEAD", Authority: "a.test"}); a.Status != 200 || a.Size != 0 {
				t.Errorf("HEAD: %+v", a)
			}
			if a = c.Do(t.Context(), &wire.Request{Authority: "a.test", Path: "/gone"}); a.Failure != wire.Reset || !c.Usable() {
				t.Errorf("aborted: %s %s, usable %v", a.Failure, a.Detail, c.Usable())
			}
		})
	}
}

// A session of one name can be resumed under another one; a server of Go's own takes it.
func TestResume(t *testing.T) {
	_, address := servers(t)
	for _, test := range []struct {
		proto   wire.Protocol
		version uint16
	}{{wire.H1, tls.VersionTLS12}, {wire.H2, tls.VersionTLS12}, {wire.H2, tls.VersionTLS13}, {wire.H3, tls.VersionTLS13}} {
		d := wire.Dial{Address: address[test.proto], Protocol: test.proto, Version: test.version}
		c := open(t, d)
		c.Do(t.Context(), &wire.Request{Authority: "a.test"})
		ticket := c.Ticket()
		c.Close()
		if ticket == nil {
			t.Errorf("%s: no ticket", test.proto)
			continue
		}
		d.ServerName, d.Limits, d.Resume = "b.test", unhurried, ticket
		again, err := wire.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		a := again.Do(t.Context(), &wire.Request{Authority: "b.test"})
		if !again.Facts.Resumed || again.Facts.Version != test.version || string(a.Body) != "GET b.test" || again.Facts.Leaf() == nil {
			t.Errorf("%s %x: resumed %v, %s", test.proto, test.version, again.Facts.Resumed, a.Body)
		}
		again.Close()
	}
}

// What is sent is what was asked for, however odd.
func TestOddRequests(t *testing.T) {
	_, address := servers(t)
	for _, test := range []struct {
		name    string
		proto   wire.Protocol
		request wire.Request
		status  int
		host    string
		failure wire.Failure
	}{
		{"absolute form", wire.H1, wire.Request{Authority: "a.test", Target: "https://b.test/"}, 200, "b.test", ""},
		{"two hosts", wire.H1, wire.Request{Hosts: []string{"a.test", "b.test"}}, 400, "", ""},
		{"no host", wire.H1, wire.Request{Hosts: []string{}}, 400, "", ""},
		{"an empty host", wire.H1, wire.Request{}, 200, "", ""},
		{"host beside :authority", wire.H2, wire.Request{Authority: "a.test", Hosts: []string{"b.test"}}, 200, "a.test", ""},
		{"host alone", wire.H2, wire.Request{NoAuthority: true, Hosts: []string{"b.test"}}, 200, "b.test", ""},
		{"another scheme", wire.H2, wire.Request{Authority: "a.test", Scheme: "gopher"}, 0, "", wire.Reset},
		{"host against :authority over HTTP/3", wire.H3, wire.Request{Authority: "a.test", Hosts: []string{"b.test"}}, 0, "", wire.Reset},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := open(t, wire.Dial{Address: address[test.proto], Protocol: test.proto})
			a := c.Do(t.Context(), &test.request)
			if a.Status != test.status || a.Field("x-host") != test.host || a.Failure != test.failure {
				t.Errorf("%d, host %q, %s %q", a.Status, a.Field("x-host"), a.Failure, a.Detail)
			}
		})
	}
}

// A handshake that the server refuses comes with the alert's name, at once or with the first answer.
func TestAlerts(t *testing.T) {
	config, _ := servers(t)
	config.ClientAuth = tls.RequireAnyClientCert
	for version, at := range map[uint16]string{tls.VersionTLS12: "handshake", tls.VersionTLS13: "request"} {
		address := listen(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: config.Certificates, ClientAuth: config.ClientAuth, MaxVersion: version})
			s.Handshake()
			io.Copy(io.Discard, c)
		})
		c, err := wire.Open(t.Context(), wire.Dial{Address: address, Protocol: wire.H1, Version: version, ServerName: "a.test", Limits: unhurried})
		if (err != nil) != (at == "handshake") || !c.Facts.Asked || c.Facts.Shown || c.Facts.Leaf() == nil {
			t.Errorf("%x: %v, %+v", version, err, c.Facts)
		}
		kind, name := wire.FailureOf(err)
		if err == nil {
			a := c.Do(t.Context(), &wire.Request{Authority: "a.test"})
			kind, name = a.Failure, a.Detail
		}
		if kind != wire.Alert || name != map[uint16]string{tls.VersionTLS12: "handshake_failure", tls.VersionTLS13: "certificate_required"}[version] {
			t.Errorf("%x: %s %q", version, kind, name)
		}
	}
}

// The hand-written ClientHello is one that servers take, and the server name is in it.
func TestHello(t *testing.T) {
	certificate := testca.New(t).Server(t, "a.test")
	seen := make(chan string, 1)
	address := listen(t, func(c net.Conn) {
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			seen <- h.ServerName
			if h.ServerName == "b.test" {
				return &tls.Config{}, nil // no certificate: unrecognized_name
			}
			return nil, nil
		}}).Handshake()
	})
	for _, test := range []struct{ sni, seen, answer, alert string }{
		{"a.test", "a.test", "server_hello", ""},
		{"b.test", "b.test", "alert", "unrecognized_name"},
		{"127.0.0.1", "127.0.0.1", "server_hello", ""},
	} {
		answer, alert, err := wire.Hello(t.Context(), address, test.sni, unhurried)
		if err != nil || answer != test.answer || alert != test.alert {
			t.Errorf("%s: %q %q %v", test.sni, answer, alert, err)
		}
		if got := <-seen; got != test.seen {
			t.Errorf("%s: the server saw %q", test.sni, got)
		}
	}
}

// A server that chooses a protocol which was not offered does not speak the one that was; crypto/tls has no type for this error.
func TestUnadvertised(t *testing.T) {
	if kind, _ := wire.FailureOf(errors.New("tls: server selected unadvertised ALPN protocol")); kind != wire.NoProtocol {
		t.Error(kind)
	}
}
