package usher_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/testca"
)

// bySNI is a program that asks for client certificates at one of the hosts that share a certificate. Like many such
// programs it looks its names up as they come.
type bySNI struct {
	clientCA *testca.CA
	client   tls.Certificate
	addr     string
	g        *usher.Guard
}

func serveBySNI(t *testing.T, c usher.Config) *bySNI {
	t.Helper()
	ca, clientCA := testca.New(t), testca.New(t)
	p := &bySNI{clientCA: clientCA, client: clientCA.Client(t, "ann")}
	open := &tls.Config{
		Certificates: []tls.Certificate{ca.Server(t, "open.test", "www.test", "admin.test", "127.0.0.1")},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	admin := open.Clone()
	admin.ClientAuth, admin.ClientCAs = tls.RequireAndVerifyClientCert, clientCA.Pool()
	bySNI := map[string]*tls.Config{"open.test": open, "www.test": open, "admin.test": admin}
	p.g = newGuard(t, c)
	srv := newServer(p.g, echo)
	srv.Handler = withReason(p.g, echo)
	srv.TLSConfig = p.g.TLSConfig(&tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c := bySNI[hello.ServerName]; c != nil {
			return c, nil
		}
		return open, nil
	}})
	p.addr = serveTLS(t, p.g, srv)
	return p
}

// RFC 6066 section 11.1: "If the server_name is established in the TLS session handshake, the client SHOULD NOT attempt to
// request a different server name at the application layer", and a server that relies on it must check both.
func TestClientAuthBySNIByReuse(t *testing.T) {
	for _, proto := range []string{"h1", "h2"} {
		p := serveBySNI(t, usher.Config{})
		for _, sni := range []string{"open.test", "OPEN.test", "www.test", "unknown.test", ""} {
			l := (&caller{addr: p.addr, sni: sni, proto: proto}).open(t)
			for _, host := range []string{"admin.test", "ADMIN.test", "admin.test.", "admin.test:443"} {
				l.get(host).wantReason(t, proto+" SNI "+sni+" asks for "+host, 421, authority.ClientAuthMismatch)
			}
			if sni == "open.test" {
				l.get("open.test").wantReason(t, proto+" own host", 200, authority.OK)
				l.get("www.test").wantReason(t, proto+" a neighbour, without SamePolicy", 421, authority.ClientAuthMismatch)
				l.get("elsewhere.test").wantReason(t, proto+" a foreign host", 421, authority.CertificateMismatch)
			}
		}
		l := (&caller{addr: p.addr, sni: "admin.test", proto: proto, tls: tls.Config{Certificates: []tls.Certificate{p.client}}}).open(t)
		l.get("admin.test").wantReason(t, proto+" with a certificate", 200, authority.OK)
		l.get("open.test").wantReason(t, proto+" the other way", 421, authority.ClientAuthMismatch)
	}
}

// Observe mode and SamePolicy: the refusal is never waived, and the caller's word counts.
func TestSamePolicy(t *testing.T) {
	p := serveBySNI(t, usher.Config{
		Mode: usher.Observe,
		SamePolicy: func(sni, host string) bool {
			open := map[string]bool{"open.test": true, "www.test": true}
			return open[sni] && open[host]
		},
	})
	l := (&caller{addr: p.addr, sni: "OPEN.test", proto: "h2"}).open(t)
	l.get("WWW.test.").wantReason(t, "a neighbour that SamePolicy allows", 200, authority.OK)
	l.get("admin.test").wantReason(t, "a neighbour that it does not", 421, authority.ClientAuthMismatch)
	l = (&caller{addr: p.addr, proto: "h2"}).open(t)
	l.get("www.test").wantReason(t, "without SNI", 421, authority.ClientAuthMismatch)
}

// Upper-case names miss the program's map, which would choose the open configuration for them.
func TestClientAuthBySNIByCase(t *testing.T) {
	p := serveBySNI(t, usher.Config{})
	for _, sni := range []string{"admin.test", "ADMIN.test", "Admin.Test"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c := caller{addr: p.addr, sni: sni, proto: "h1", tls: tls.Config{MinVersion: version, MaxVersion: version}}
			if status, err := c.try("admin.test"); err == nil {
				t.Errorf("SNI %q without a certificate, TLS %#x: status %d", sni, version, status)
			}
			c.tls.Certificates = []tls.Certificate{p.client}
			if status, err := c.try("admin.test"); err != nil || status != 200 {
				t.Errorf("SNI %q with a certificate, TLS %#x: %d %v", sni, version, status, err)
			}
		}
	}
}

// try asks for a host; an error says that the handshake failed, which TLS 1.3 clients may learn at the first read only.
func (c *caller) try(host string) (status int, err error) {
	conn, err := c.dial("http/1.1")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return 0, err
	}
	var buf [12]byte
	for n := 0; n < len(buf); {
		m, err := conn.Read(buf[n:])
		if n += m; err != nil {
			return 0, err
		}
	}
	_, err = fmt.Sscanf(string(buf[:]), "HTTP/1.1 %d", &status)
	return status, err
}

// RFC 6066 section 3: "The hostname is represented as a byte string using ASCII encoding without a trailing dot."
func TestClientAuthBySNIByTrailingDot(t *testing.T) {
	p := serveBySNI(t, usher.Config{})
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	conn := tls.Client(dotted{nc}, &tls.Config{ServerName: "admin.tesx", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err = conn.Handshake(); err == nil || !strings.HasSuffix(err.Error(), "error decoding message") {
		t.Errorf("SNI with a trailing dot: %v, want the alert decode_error", err)
	}
}

// dotted makes a trailing dot of the last byte of a name in the ClientHello.
type dotted struct{ net.Conn }

func (d dotted) Write(p []byte) (int, error) {
	p = bytes.Replace(p, []byte("admin.tesx"), []byte("admin.tes."), 1)
	return d.Conn.Write(p)
}

// RFC 8446 section 4.2.11 lets a server resume under another SNI: the ticket of the open host must not open the other.
func TestClientAuthBySNIByResumption(t *testing.T) {
	for _, verifier := range []string{"", "ann's CA"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			p := serveBySNI(t, usher.Config{VerifierID: verifier})
			var s shelf
			c := caller{addr: p.addr, proto: "h1", tls: tls.Config{MinVersion: version, MaxVersion: version, ClientSessionCache: &s}}
			c.sni = "open.test"
			c.open(t).get("open.test").want(t, "full handshake", 200)
			if again := c.open(t); !again.conn.ConnectionState().DidResume {
				t.Errorf("TLS %#x: the same host is not resumed", version)
			}
			for _, sni := range []string{"admin.test", "ADMIN.TEST"} {
				c.sni = sni
				if status, err := c.try("admin.test"); err == nil {
					t.Errorf("TLS %#x: %s with the ticket of open.test and no certificate: %d", version, sni, status)
				}
			}
			for _, sni := range []string{"", "www.test", "unknown.test"} {
				c.sni = sni
				l := c.open(t)
				if l.conn.ConnectionState().DidResume {
					t.Errorf("TLS %#x: the ticket of open.test is resumed under SNI %q", version, sni)
				}
				l.get("admin.test").wantReason(t, "admin.test under SNI "+sni, 421, authority.ClientAuthMismatch)
			}
		}
	}
}

// Without a name for the caller's verification no ticket may outlive it.
func TestTicketsAndVerifierID(t *testing.T) {
	for _, verifier := range []string{"", "ann's CA"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			p := serveBySNI(t, usher.Config{VerifierID: verifier})
			var s shelf
			c := caller{addr: p.addr, sni: "admin.test", proto: "h1", tls: tls.Config{
				MinVersion: version, MaxVersion: version, ClientSessionCache: &s, Certificates: []tls.Certificate{p.client},
			}}
			c.open(t).get("admin.test").want(t, "full handshake", 200)
			if got, want := s.state != nil, verifier != ""; got != want {
				t.Errorf("VerifierID %q, TLS %#x: a ticket %t, want %t", verifier, version, got, want)
			}
			l := c.open(t)
			l.get("admin.test").want(t, "second connection", 200)
			if got, want := l.conn.ConnectionState().DidResume, verifier != ""; got != want {
				t.Errorf("VerifierID %q, TLS %#x: resumed %t, want %t", verifier, version, got, want)
			}
			c.sni = "open.test"
			if l := c.open(t); l.conn.ConnectionState().DidResume {
				t.Errorf("VerifierID %q, TLS %#x: the ticket of admin.test is resumed by open.test", verifier, version)
			}
		}
	}
	// Another VerifierID is another verification.
	p := serveBySNI(t, usher.Config{VerifierID: "1"})
	var s shelf
	c := caller{addr: p.addr, sni: "admin.test", proto: "h1",
		tls: tls.Config{ClientSessionCache: &s, Certificates: []tls.Certificate{p.client}}}
	c.open(t).get("admin.test").want(t, "full handshake", 200)
	if err := p.g.Replace(usher.Config{VerifierID: "2"}); err != nil {
		t.Fatal(err)
	}
	if l := c.open(t); l.conn.ConnectionState().DidResume {
		t.Error("a ticket outlives the verification that it was made under")
	}
}

// A shelf is a session cache of one place: it offers its ticket under every name.
type shelf struct {
	state *tls.ClientSessionState
	full  bool // keep what is there
}

func (s *shelf) Get(string) (*tls.ClientSessionState, bool) { return s.state, s.state != nil }

func (s *shelf) Put(_ string, state *tls.ClientSessionState) {
	if state != nil && !s.full {
		s.state = state
	}
}
