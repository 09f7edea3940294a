//lint:file-ignore SA1019 people's servers call http2.ConfigureServer, deprecated or not.

package usher_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/testca"
)

// hooks are what a program takes from the guard. Without a guard they do nothing, so that one and the same program can
// be run with and without.
type hooks struct{ g *usher.Guard }

func (h hooks) tlsConfig(c *tls.Config) *tls.Config {
	if h.g == nil {
		return c
	}
	return h.g.TLSConfig(c)
}

func (h hooks) server() *http.Server {
	if h.g == nil {
		return &http.Server{Handler: echo, ErrorLog: log.New(io.Discard, "", 0)}
	}
	srv := newServer(h.g, echo)
	srv.ConnContext = h.g.ConnContext
	return srv
}

func (h hooks) serveTLS(srv *http.Server, l net.Listener, cert, key string) error {
	if h.g == nil {
		return srv.ServeTLS(l, cert, key)
	}
	return h.g.ServeTLS(srv, l, cert, key)
}

// shop is a program's material.
type shop struct {
	t         *testing.T
	cert      tls.Certificate // for a.test and b.test
	certFile  string
	keyFile   string
	elsewhere tls.Certificate // for c.test
}

func (s *shop) config() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{s.cert}} }

// run serves in the background and returns the address.
func (s *shop) run(srv *http.Server, serve func(net.Listener) error) string {
	l := listen(s.t)
	background(s.t, srv, func() error { return serve(l) })
	return l.Addr().String()
}

func (s *shop) httptest(h hooks, c *tls.Config, http2 bool) string {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = h.server()
	srv.EnableHTTP2 = http2
	if srv.TLS = c; c != nil {
		srv.TLS = h.tlsConfig(c)
	} else if h.g != nil {
		srv.TLS = h.tlsConfig(nil)
	}
	srv.StartTLS()
	s.t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// ways are the ways in which people build servers.
var ways = []struct {
	name    string
	missing string // the call that the log names; the server answers 500
	start   func(s *shop, h hooks) (addr string)
}{
	{name: "srv.ServeTLS with files", missing: "guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(nil)
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, s.certFile, s.keyFile) })
	}},
	{name: "srv.ServeTLS with certificates", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "guard.ServeTLS with files", start: func(s *shop, h hooks) string {
		srv := h.server()
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, s.certFile, s.keyFile) })
	}},
	{name: "guard.ServeTLS with files and TLSConfig", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(&tls.Config{MinVersion: tls.VersionTLS13})
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, s.certFile, s.keyFile) })
	}},
	{name: "guard.ServeTLS with certificates", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		srv.ConnContext = nil
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "guard.ListenAndServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.Addr = "127.0.0.1:0"
		addr := make(chan string, 1)
		srv.BaseContext = func(l net.Listener) context.Context {
			addr <- l.Addr().String()
			return context.Background()
		}
		background(s.t, srv, func() error {
			if h.g == nil {
				return srv.ListenAndServeTLS(s.certFile, s.keyFile)
			}
			return h.g.ListenAndServeTLS(srv, s.certFile, s.keyFile)
		})
		return <-addr
	}},
	{name: "tls.NewListener, no TLSConfig, no ALPN", start: func(s *shop, h hooks) string {
		srv := h.server()
		c := h.tlsConfig(s.config())
		return s.run(srv, func(l net.Listener) error { return srv.Serve(tls.NewListener(l, c)) })
	}},
	{name: "tls.NewListener, no TLSConfig, ALPN", start: func(s *shop, h hooks) string {
		srv := h.server()
		c := s.config()
		c.NextProtos = []string{"h2", "http/1.1"}
		c = h.tlsConfig(c)
		return s.run(srv, func(l net.Listener) error { return srv.Serve(tls.NewListener(l, c)) })
	}},
	{name: "tls.NewListener, TLSConfig, no ALPN", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		return s.run(srv, func(l net.Listener) error { return srv.Serve(tls.NewListener(l, srv.TLSConfig)) })
	}},
	{name: "tls.NewListener, TLSConfig, ALPN set afterwards", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		srv.TLSConfig.NextProtos = []string{"http/1.1", "h2"}
		return s.run(srv, func(l net.Listener) error { return srv.Serve(tls.NewListener(l, srv.TLSConfig)) })
	}},
	{name: "httptest", start: func(s *shop, h hooks) string { return s.httptest(h, s.config(), false) }},
	{name: "httptest with HTTP/2", start: func(s *shop, h hooks) string { return s.httptest(h, s.config(), true) }},
	{name: "httptest with its own certificate", missing: "guard.ServeTLS", start: func(s *shop, h hooks) string {
		return s.httptest(h, nil, true)
	}},
	{name: "http2.ConfigureServer before TLSConfig", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		http2.ConfigureServer(srv, nil)
		srv.TLSConfig = h.tlsConfig(srv.TLSConfig)
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "http2.ConfigureServer after TLSConfig", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		http2.ConfigureServer(srv, nil)
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "http2.ConfigureServer before TLSConfig and guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		http2.ConfigureServer(srv, &http2.Server{MaxConcurrentStreams: 7})
		srv.TLSConfig = h.tlsConfig(srv.TLSConfig)
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "http2.ConfigureServer after TLSConfig and guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		http2.ConfigureServer(srv, nil)
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "GetCertificate as autocert has it", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(&tls.Config{
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if strings.EqualFold(hello.ServerName, "c.test") {
					return &s.elsewhere, nil
				}
				cert := s.cert // a new value every time, as autocert returns them
				return &cert, nil
			},
			NextProtos: []string{"h2", "http/1.1", "acme-tls/1"},
		})
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "GetConfigForClient", start: func(s *shop, h hooks) string {
		srv := h.server()
		chosen := s.config()
		chosen.NextProtos = []string{"h2", "http/1.1"}
		srv.TLSConfig = h.tlsConfig(&tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil },
		})
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "GetConfigForClient that chooses nothing, guard.ServeTLS with files", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(&tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
		})
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, s.certFile, s.keyFile) })
	}},
	{name: "GetConfigForClient put over the guard's, guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		chosen := s.config()
		chosen.NextProtos = []string{"http/1.1"}
		srv.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "a clone of a guarded configuration", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config()).Clone()
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "a guarded clone of a guarded configuration", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(h.tlsConfig(s.config()).Clone())
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "a clone of a guarded configuration, guard.ServeTLS with files", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(nil).Clone()
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, s.certFile, s.keyFile) })
	}},
	{name: "HTTP/2 off by TLSNextProto, srv.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = h.tlsConfig(s.config())
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "HTTP/2 off by TLSNextProto, guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "HTTP/2 off by Protocols, guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "HTTP/2 off by Protocols, guard.Prepare and tls.NewListener", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		if h.g != nil {
			if err := h.g.Prepare(srv, "", ""); err != nil {
				s.t.Fatal(err)
			}
		}
		return s.run(srv, func(l net.Listener) error { return srv.Serve(tls.NewListener(l, srv.TLSConfig)) })
	}},
	{name: "HTTP/2 alone by Protocols, guard.ServeTLS", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP2(true)
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "HTTP/2 off by GODEBUG, guard.ServeTLS", start: func(s *shop, h hooks) string {
		s.t.Setenv("GODEBUG", "http2server=0")
		srv := h.server()
		srv.TLSConfig = s.config()
		return s.run(srv, func(l net.Listener) error { return h.serveTLS(srv, l, "", "") })
	}},
	{name: "ConnContext forgotten", missing: "guard.ConnContext", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig, srv.ConnContext = h.tlsConfig(s.config()), nil
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
	{name: "TLSConfig forgotten", missing: "guard.TLSConfig", start: func(s *shop, h hooks) string {
		srv := h.server()
		srv.TLSConfig = s.config()
		return s.run(srv, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
	}},
}

func TestWaysToServe(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Server(t, "a.test", "b.test")
	certFile, keyFile := testca.Write(t, t.TempDir(), "ab", cert)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			s := &shop{t, cert, certFile, keyFile, ca.Server(t, "c.test")}
			bare := way.start(s, hooks{})
			var b logbook
			g := newGuard(t, usher.Config{Logger: b.logger()})
			addr := way.start(s, hooks{g})
			checkALPN(t, bare, addr)
			if way.missing != "" {
				checkMissing(t, addr, way.missing, &b)
				return
			}
			checkRule(t, addr, g)
		})
	}
}

// checkALPN compares what is negotiated with and without the guard.
func checkALPN(t *testing.T, bare, guarded string) {
	t.Helper()
	for _, offer := range [][]string{nil, {"h2", "http/1.1"}, {"http/1.1"}, {"h2"}, {"acme-tls/1"}, {"x"}} {
		got := [2]string{}
		for i, addr := range []string{bare, guarded} {
			c := caller{addr: addr, sni: "a.test"}
			conn, err := c.dial(offer...)
			if err != nil {
				got[i] = err.Error()
				continue
			}
			got[i] = conn.ConnectionState().NegotiatedProtocol
			conn.Close()
		}
		if got[0] != got[1] {
			t.Errorf("ALPN offer %q: %q without the guard, %q with it", offer, got[0], got[1])
		}
	}
}

// protocolsOf returns the protocols that a server speaks.
func protocolsOf(t *testing.T, addr string) (list []string) {
	t.Helper()
	negotiated := func(offer string) (string, bool) {
		conn, err := (&caller{addr: addr, sni: "a.test"}).dial(offer)
		if err != nil {
			return "", false
		}
		defer conn.Close()
		return conn.ConnectionState().NegotiatedProtocol, true
	}
	h2, _ := negotiated("h2")
	if h2 == "h2" {
		list = append(list, "h2")
	}
	// crypto/tls lets clients of HTTP/1.1 in where the server speaks HTTP/2 alone.
	if h1, ok := negotiated("http/1.1"); h1 == "http/1.1" || ok && h2 == "" {
		list = append(list, "h1")
	}
	if len(list) == 0 {
		t.Error("the server speaks no protocol")
	}
	return list
}

// checkRule asks the certificate rule from outside.
func checkRule(t *testing.T, addr string, g *usher.Guard) {
	t.Helper()
	for _, proto := range protocolsOf(t, addr) {
		l := (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		l.get("a.test").want(t, proto+": the host of the connection", 200)
		l.get("c.test").want(t, proto+": a host that the certificate does not cover", 421)
		l.get("a.test").want(t, proto+": the host of the connection again", 200)
		// Without knowledge of the caller's choice by SNI, other hosts of the certificate may share the connection.
		a := l.get("b.test")
		if a.status != 200 && !strings.Contains(t.Name(), "GetConfigForClient") {
			t.Errorf("%s: another host of the certificate: %d", proto, a.status)
		}
	}
}

// checkMissing wants 500 and one line that names the missing call.
func checkMissing(t *testing.T, addr, call string, b *logbook) {
	t.Helper()
	n := 0
	for _, proto := range protocolsOf(t, addr) {
		l := (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		l.get("a.test").want(t, proto+": the host of the connection", 500)
		l.get("c.test").want(t, proto+": another host", 500)
	}
	for _, e := range b.entries(t) {
		if e["level"] != slog.LevelError.String() {
			continue
		}
		n++
		if m, _ := e["missing"].(string); !strings.Contains(m, call) || e["reason"] != "no_facts" {
			t.Errorf("the log says %v, and does not name %s", e, call)
		}
	}
	if n != 1 {
		t.Errorf("%d lines about what is missing, want 1", n)
	}
}

// Several servers and listeners under one guard, with certificates of their own.
func TestTwoServersOneGuard(t *testing.T) {
	ca := testca.New(t)
	dir := t.TempDir()
	g := newGuard(t, usher.Config{})
	shared := g.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS12})
	addrs := map[string]string{}
	for _, host := range []string{"a.test", "b.test"} {
		cert, key := ca.WriteServer(t, dir, host, host)
		srv := newServer(g, echo)
		srv.TLSConfig = shared
		for range 2 { // two listeners of one server
			l := listen(t)
			background(t, srv, func() error { return g.ServeTLS(srv, l, cert, key) })
			addrs[l.Addr().String()] = host
		}
	}
	for addr, host := range addrs {
		for _, proto := range []string{"h1", "h2"} {
			l := (&caller{addr: addr, sni: host, proto: proto}).open(t)
			if leaf := l.conn.ConnectionState().PeerCertificates[0]; !slices.Equal(leaf.DNSNames, []string{host}) {
				t.Errorf("the server of %s shows a certificate for %q", host, leaf.DNSNames)
			}
			for _, other := range addrs {
				status := 421
				if other == host {
					status = 200
				}
				l.get(other).want(t, proto+" "+other+" at the server of "+host, status)
			}
		}
	}
}

// A second server is set up with the configuration of one that serves already: nothing races, nothing changes.
func TestSharedConfigWhileServing(t *testing.T) {
	ca := testca.New(t)
	var g usher.Guard
	shared := g.TLSConfig(&tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.test")}})
	start := func() string {
		srv := newServer(&g, echo)
		srv.TLSConfig, srv.ConnContext = shared, g.ConnContext
		l := listen(t)
		background(t, srv, func() error { return srv.ServeTLS(l, "", "") })
		return l.Addr().String()
	}
	first := caller{addr: start(), sni: "a.test", proto: "h2"}
	first.open(t).get("a.test").want(t, "the first server", 200)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				if c, err := first.dial("h2"); err == nil {
					c.Close()
				}
			}
		}
	}()
	second := caller{addr: start(), sni: "a.test", proto: "h2"}
	second.open(t).get("a.test").want(t, "the second server", 200)
	close(stop)
	<-done
}

// RSA beside ECDSA: the facts are of the one that was shown.
func TestCertificateThatWasShown(t *testing.T) {
	ca := testca.New(t)
	ecdsa, rsa := ca.Server(t, "a.test", "ecdsa.test"), ca.ServerRSA(t, "a.test", "rsa.test")
	for name, start := range map[string]func() string{
		"sites": func() string {
			_, addr := serveSites(t, usher.Config{Sites: []usher.Site{{
				Hosts: []string{"a.test", "ecdsa.test", "rsa.test"}, Certificates: []tls.Certificate{ecdsa, rsa},
			}}})
			return addr
		},
		"no sites": func() string {
			g := newGuard(t, usher.Config{})
			srv := newServer(g, echo)
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ecdsa, rsa}}
			return serveTLS(t, g, srv)
		},
	} {
		addr := start()
		for suite, hosts := range map[uint16][2]string{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: {"ecdsa.test", "rsa.test"},
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   {"rsa.test", "ecdsa.test"},
		} {
			c := caller{addr: addr, sni: "a.test", proto: "h2",
				tls: tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}}
			l := c.open(t)
			l.get("a.test").want(t, name, 200)
			l.get(hosts[0]).want(t, name+": host of the certificate that was shown", 200)
			l.get(hosts[1]).want(t, name+": host of the other certificate", 421)
		}
	}
}

// A program's own HTTP/2 server, configured with x/net, tells the guard :scheme too.
func TestSchemeWithOwnHTTP2(t *testing.T) {
	ca := testca.New(t)
	g := newGuard(t, usher.Config{})
	srv := newServer(g, echo)
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.test")}}
	if err := http2.ConfigureServer(srv, &http2.Server{MaxConcurrentStreams: 7}); err != nil {
		t.Fatal(err)
	}
	l := (&caller{addr: serveTLS(t, g, srv), sni: "a.test", proto: "h2"}).open(t)
	l.get("a.test").want(t, "https", 200)
	l.send(nil, ":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/").want(t, "http", 421)
}

// Client authentication of the base configuration is not lost in silence when sites come.
func TestClientAuthBesideSites(t *testing.T) {
	w := newTown(t)
	base := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.ca1.Pool(), Certificates: []tls.Certificate{w.shared}}
	g := newGuard(t, usher.Config{Sites: w.sites(t)})
	srv := newServer(g, echo)
	srv.TLSConfig = base
	if err := g.ServeTLS(srv, listen(t), "", ""); err == nil || !strings.Contains(err.Error(), "Site.ClientAuth") {
		t.Errorf("ServeTLS: %v", err)
	}
	hooked := newServer(g, echo)
	hooked.TLSConfig, hooked.ConnContext = g.TLSConfig(base), g.ConnContext
	l := listen(t)
	background(t, hooked, func() error { return hooked.ServeTLS(l, "", "") })
	for _, certs := range [][]tls.Certificate{nil, {w.client}} {
		c := caller{addr: l.Addr().String(), sni: "a.test", tls: tls.Config{Certificates: certs}}
		if _, err := c.try("a.test"); err == nil {
			t.Error("a handshake under two policies")
		}
	}
}
