package usher_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh2"
)

var protos = []string{"h1", "h2"}

// RFC 9110 section 7.4: "In particular, a request for an "https" resource MUST be rejected unless it has been received
// over a connection that has been secured via a certificate valid for that target URI's origin".
func TestCertificateMismatch(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		l.get("b.test").wantReason(t, proto+" a neighbour on the shared certificate", 200, authority.OK)
		l.get("cert.test").wantReason(t, proto+" a site with a certificate of its own", 421, authority.CertificateMismatch)
		l.get("B.Test.:443").wantReason(t, proto+" another spelling", 200, authority.OK)
		l.get("b.test:8443").wantReason(t, proto+" another public port", 200, authority.OK)
		own := w.open(t, proto, "uncovered.test")
		own.get("uncovered.test").wantReason(t, proto+" a site whose certificate does not cover it", 421, authority.CertificateMismatch)
	}
}

// RFC 9113 section 9.2.3: "HTTP/2 servers MUST NOT send post-handshake TLS 1.3 CertificateRequest messages". So a
// client certificate can only be had on another connection.
func TestClientAuthMismatch(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		for _, host := range []string{"staff.test", "STAFF.test.", "staff2.test", "maybe.test", "other.test", "wide.test"} {
			l.get(host).wantReason(t, proto+" without a certificate: "+host, 421, authority.ClientAuthMismatch)
		}
		l = w.openStaff(t, proto, "staff.test")
		for host, status := range map[string]int{"staff.test": 200, "staff2.test": 200, "maybe.test": 200, "a.test": 200, "other.test": 421, "wide.test": 421} {
			l.get(host).want(t, proto+" with ann's certificate: "+host, status)
		}
		l = w.open(t, proto, "maybe.test")
		l.get("maybe.test").wantReason(t, proto+" asked, none given", 200, authority.OK)
		l.get("staff.test").wantReason(t, proto+" asked, none given, required", 421, authority.ClientAuthMismatch)
	}
}

// RFC 9110 section 15.5.20: "[...] or does not match the connection context over which the request was received".
func TestTLSVersionMismatch(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		old := (&caller{addr: w.public, sni: "a.test", proto: proto, tls: tls.Config{MaxVersion: tls.VersionTLS12}}).open(t)
		old.get("new.test").wantReason(t, proto+" TLS 1.2", 421, authority.TLSVersionMismatch)
		w.open(t, proto, "a.test").get("new.test").wantReason(t, proto+" TLS 1.3", 200, authority.OK)
	}
}

// RFC 9113 section 9.1.1: "A server that does not wish clients to reuse connections can indicate that it is not
// authoritative for a request by sending a 421 (Misdirected Request) status code in response to the request".
func TestCoalescingRefused(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		w.open(t, proto, "a.test").get("own.test").wantReason(t, proto+" a neighbour's connection", 421, authority.CoalescingRefused)
		own := w.open(t, proto, "own.test")
		own.get("own.test").wantReason(t, proto+" its own connection", 200, authority.OK)
		own.get("a.test").wantReason(t, proto+" the other way", 200, authority.OK)
	}
}

// RFC 9110 section 15.5.20: "An origin server (or gateway acting on behalf of the origin server) sends 421 to reject a
// target URI that does not match an origin for which the server has been configured (Section 4.3.1)".
func TestUnknownOriginAndWrongListener(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		l.get("unknown.test").wantReason(t, proto+" no site", 421, authority.UnknownOrigin)
		l.get("a.test:444").wantReason(t, proto+" no such port", 421, authority.UnknownOrigin)
		l.get("x.a.test").wantReason(t, proto+" a longer name", 421, authority.UnknownOrigin)
		l.get("side.test:9443").wantReason(t, proto+" a site of another listener", 421, authority.WrongListener)
		l.get("a.test:9443").wantReason(t, proto+" another listener's port", 421, authority.WrongListener)
		side := (&caller{addr: w.side, sni: "side.test", proto: proto}).open(t)
		side.get("side.test:9443").wantReason(t, proto+" the site's listener", 200, authority.OK)
		side.get("a.test:9443").wantReason(t, proto+" a site of all listeners", 200, authority.OK)
	}
}

// 404 is answered only where the host is the SNI and the certificate covers it: elsewhere the difference would tell
// which hosts exist.
func TestUnknownHostNotFound(t *testing.T) {
	w := newTown(t)
	sites := []usher.Site{{Name: "a", Hosts: []string{"a.test"}, Certificates: []tls.Certificate{w.ca.Server(t, "a.test", "covered.test")}}}
	g := newGuard(t, usher.Config{Sites: sites, DefaultSite: "a", UnknownHost: 404})
	srv := newServer(g, echo)
	srv.Handler = withReason(g, echo)
	addr := serveTLS(t, g, srv)
	for _, proto := range protos {
		l := (&caller{addr: addr, sni: "covered.test", proto: proto}).open(t)
		l.get("covered.test").wantReason(t, proto+" covered and SNI", 404, authority.UnknownOrigin)
		l.get("foreign.test").wantReason(t, proto+" not covered", 421, authority.UnknownOrigin)
		l = (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		a := l.get("covered.test")
		a.wantReason(t, proto+" covered, not SNI", 421, authority.UnknownOrigin)
		l = (&caller{addr: addr, proto: proto}).open(t)
		l.get("covered.test").wantReason(t, proto+" covered, no SNI", 421, authority.UnknownOrigin)
		l = (&caller{addr: addr, sni: "foreign.test", proto: proto}).open(t)
		l.get("foreign.test").wantReason(t, proto+" SNI, not covered", 421, authority.UnknownOrigin)
	}
}

// RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
// lacks a Host header field and to any request message that contains more than one Host header field line or a Host
// header field with an invalid field value." RFC 9113 section 8.1.1: "Malformed requests or responses that are detected
// MUST be treated as a stream error".
func TestMalformedAuthority(t *testing.T) {
	w := newWorld(t, nil)
	const guard, below = "guard", "below" // who answers: below are net/http and x/net
	long := strings.Repeat("a23456789.", 25) + "test"
	for _, test := range []struct{ authority, h1, h2 string }{
		{"", guard, guard},
		{"a..test", guard, guard},
		{".a.test", guard, guard},
		{".", guard, guard},
		{"a.test..", guard, guard},
		{"a.test:0", guard, guard},
		{"a.test:65536", guard, guard},
		{"a.test:443:443", guard, guard},
		{"a.test:+443", guard, guard},
		{"a.test:x", guard, guard},
		{":443", guard, guard},
		{"%61.test", guard, guard},
		{"u@a.test", below, below},
		{"u:p@a.test", below, below},
		{"*.test", guard, guard},
		{"a.test,b.test", guard, guard},
		{"1.2.3", guard, guard},
		{"256.1.1.1", guard, guard},
		{"0x7f.1", guard, guard},
		{"a.0x7f", guard, guard},
		{"[::1", guard, guard},
		{"[::1%25lo]", guard, guard},
		{"[v1.a]", guard, guard},
		{"::1", guard, guard},
		{strings.Repeat("a", 64) + ".test", guard, guard},
		{long, guard, guard},
		{"ä.test", below, below},
		{"a/test", below, below},
		{"a test", below, below},
		{"a.test\\", below, below},
	} {
		for proto, by := range map[string]string{"h1": test.h1, "h2": test.h2} {
			l := w.open(t, proto, "a.test")
			a := l.get(test.authority)
			got := guard
			if a.reset || a.reason() == "" {
				got = below
			}
			if a.status != 400 && !a.reset {
				t.Errorf("%s %q: status %d, want 400", proto, test.authority, a.status)
			}
			if got != by {
				t.Errorf("%s %q: answered by %s, want %s", proto, test.authority, got, by)
			}
			if got == guard {
				a.wantReason(t, proto+" "+test.authority, 400, authority.MalformedAuthority)
				l.get("a.test").want(t, proto+" afterwards", 200)
			}
		}
	}
}

func TestHostFields(t *testing.T) {
	w := newWorld(t, nil)
	h1 := func(raw string) answer { return w.open(t, "h1", "a.test").text("GET", raw) }
	h1("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n").want(t, "two Host fields", 400)
	h1("GET / HTTP/1.1\r\n\r\n").want(t, "no Host", 400)
	// HTTP/1.0 has no duty to send Host; without it nothing says whom the request is for.
	h1("GET / HTTP/1.0\r\n\r\n").wantReason(t, "HTTP/1.0 without Host", 400, authority.MalformedAuthority)
	h1("GET / HTTP/1.0\r\nHost: b.test\r\n\r\n").wantReason(t, "HTTP/1.0 with Host", 200, authority.OK)
	h1("GET / HTTP/1.0\r\nHost: cert.test\r\n\r\n").wantReason(t, "HTTP/1.0 with a foreign Host", 421, authority.CertificateMismatch)

	// RFC 9113 section 8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that
	// identifies an entity that differs from the entity in the ":authority" pseudo-header field." x/net does so, and
	// treats several Host fields alike.
	l := w.open(t, "h2", "a.test")
	both := func(authority string, hosts ...string) answer {
		fields := []string{":method", "GET", ":scheme", "https", ":path", "/"}
		if authority != "" {
			fields = append(fields, ":authority", authority)
		}
		for _, h := range hosts {
			fields = append(fields, "host", h)
		}
		return l.send(nil, fields...)
	}
	both("a.test", "a.test").wantReason(t, "Host equal to :authority", 200, authority.OK)
	both("", "b.test").wantReason(t, "Host without :authority", 200, authority.OK)
	both("", "cert.test").wantReason(t, "a foreign Host without :authority", 421, authority.CertificateMismatch)
	both("").wantReason(t, "neither", 400, authority.MalformedAuthority)
	for what, a := range map[string]answer{
		"Host against :authority": both("a.test", "b.test"),
		"two Host fields":         both("a.test", "a.test", "a.test"),
		"two Host fields alone":   both("", "a.test", "b.test"),
	} {
		if !a.reset {
			t.Errorf("%s: status %d, want the stream reset", what, a.status)
		}
	}
}

// RFC 9112 section 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin
// server MUST ignore the received Host header field (if any) and instead use the host information of the request-target."
func TestAbsoluteForm(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct {
		target, host string
		status       int
		reason       authority.Reason
	}{
		{"https://a.test/", "a.test", 200, authority.OK},
		{"https://b.test/", "cert.test", 200, authority.OK},
		{"HTTPS://B.test:443", "cert.test", 200, authority.OK},
		{"https://cert.test/", "a.test", 421, authority.CertificateMismatch},
		{"https://staff.test/", "a.test", 421, authority.ClientAuthMismatch},
		{"https://staff.test?https://a.test/", "a.test", 421, authority.ClientAuthMismatch},
		{"http://a.test/", "a.test", 421, authority.SchemeMismatch},
		{"http://staff.test/", "a.test", 421, authority.SchemeMismatch},
		{"ftp://a.test/", "a.test", 421, authority.SchemeMismatch},
		// RFC 9110 section 4.2.4: "a recipient SHOULD parse for userinfo and treat its presence as an error; it is likely
		// being used to obscure the authority for the sake of phishing attacks".
		{"https://u@a.test/", "a.test", 400, authority.MalformedAuthority},
		{"https://u:p@a.test/", "a.test", 400, authority.MalformedAuthority},
		{"https://a.test@b.test/", "a.test", 400, authority.MalformedAuthority},
		// RFC 9110 section 4.2.2: "A recipient that processes such a URI reference MUST reject it as invalid", of an https
		// URI with an empty host.
		{"https:///x", "a.test", 400, authority.MalformedAuthority},
		{"https://:443/x", "a.test", 400, authority.MalformedAuthority},
		{"https:a.test/", "a.test", 400, authority.MalformedAuthority},
		{"https:/a.test/", "a.test", 400, authority.MalformedAuthority},
	} {
		a := w.open(t, "h1", "a.test").text("GET", "GET "+test.target+" HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
		a.wantReason(t, test.target+" with Host "+test.host, test.status, test.reason)
	}
	for target, want := range map[string]string{"/\\\\b.test": "a.test", "//b.test/": "a.test", "https://B.test/": "B.test"} {
		a := w.open(t, "h1", "a.test").text("GET", "GET "+target+" HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if a.body != "served "+want {
			t.Errorf("%s: %d %q, want it served for %s", target, a.status, a.body, want)
		}
	}
}

// RFC 9110 section 9.3.7: "An OPTIONS request with an asterisk ("*") as the request target (Section 7.1) applies to the
// server in general rather than to a specific resource."
func TestOptionsAsterisk(t *testing.T) {
	w := newWorld(t, nil)
	for host, status := range map[string]int{"a.test": 200, "b.test": 200, "cert.test": 421, "staff.test": 421, "": 400} {
		a := w.open(t, "h1", "a.test").text("OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		a.want(t, "h1 OPTIONS * for "+host, status)
		b := w.open(t, "h2", "a.test").send(nil, ":method", "OPTIONS", ":scheme", "https", ":authority", host, ":path", "*")
		b.want(t, "h2 OPTIONS * for "+host, status)
		if status == 200 && (a.body != "" || b.body != "" || a.header.Get("Content-Length") != "0") {
			t.Errorf("OPTIONS * for %s reached the handler: %q %q", host, a.body, b.body)
		}
	}
}

// RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field in a 405 response containing a list
// of the target resource's currently supported methods."
func TestConnect(t *testing.T) {
	w := newWorld(t, nil)
	for _, host := range []string{"a.test:443", "cert.test:443", "elsewhere.test:443"} {
		a := w.open(t, "h1", "a.test").text("CONNECT", "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		b := w.open(t, "h2", "a.test").send(nil, ":method", "CONNECT", ":authority", host)
		for proto, a := range map[string]answer{"h1": a, "h2": b} {
			a.want(t, proto+" CONNECT "+host, 405)
			if allow := a.header.Get("Allow"); !strings.Contains(allow, "GET") || strings.Contains(allow, "CONNECT") {
				t.Errorf("%s: Allow %q", proto, allow)
			}
		}
	}
}

// RFC 9110 section 7.4: "an origin server MUST reject a request if any scheme-specific requirements for the target URI
// are not met".
func TestSchemeMismatch(t *testing.T) {
	w := newWorld(t, nil)
	l := w.open(t, "h2", "a.test")
	ask := func(scheme, authority string) answer {
		return l.send(nil, ":method", "GET", ":scheme", scheme, ":authority", authority, ":path", "/")
	}
	for _, host := range []string{"a.test", "b.test", "staff.test", "both.test", "unknown.test"} {
		ask("http", host).wantReason(t, "h2 :scheme http for "+host, 421, authority.SchemeMismatch)
	}
	ask("https", "a.test").wantReason(t, "h2 afterwards", 200, authority.OK)
	if a := ask("ftp", "a.test"); !a.reset {
		t.Errorf("h2 :scheme ftp: %d, want the stream reset", a.status)
	}
}

// plainLine is a connection to the plaintext listener.
func (w *world) plainLine(t *testing.T) *plainLine {
	t.Helper()
	nc, err := net.Dial("tcp", w.plain)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &plainLine{nc, bufio.NewReader(nc)}
}

type plainLine struct {
	nc net.Conn
	br *bufio.Reader
}

func (p *plainLine) text(t *testing.T, raw string) answer {
	t.Helper()
	l := line{t: t, br: p.br}
	return l.exchange("GET", raw, p.nc)
}

// RFC 9110 section 15.4.9: "The 308 (Permanent Redirect) status code indicates that the target resource has been
// assigned a new permanent URI". Sites are served over https, unless they want http too.
func TestPlaintextListener(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct {
		target, host string
		status       int
		reason       authority.Reason
		location     string
	}{
		{"/x?y=1", "a.test", 308, authority.Redirect, "https://a.test/x?y=1"},
		{"/", "A.test.:80", 308, authority.Redirect, "https://a.test/"},
		{"http://b.test/%2e%20x?", "a.test", 308, authority.Redirect, "https://b.test/%2e%20x?"},
		{"//evil.test/", "a.test", 308, authority.Redirect, "https://a.test//evil.test/"},
		{"/", "side.test", 308, authority.Redirect, "https://side.test:9443/"},
		{"/", "staff.test", 308, authority.Redirect, "https://staff.test/"},
		{"/", "both.test", 200, authority.OK, ""},
		{"/", "unknown.test", 421, authority.UnknownOrigin, ""},
		{"https://a.test/", "a.test", 421, authority.SchemeMismatch, ""},
		{"/", "a..test", 400, authority.MalformedAuthority, ""},
	} {
		a := w.plainLine(t).text(t, "GET "+test.target+" HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
		a.wantReason(t, test.target+" at "+test.host, test.status, test.reason)
		if got := a.header.Get("Location"); got != test.location {
			t.Errorf("%s at %s: Location %q, want %q", test.target, test.host, got, test.location)
		}
	}
	// HTTP/2 with prior knowledge.
	p := w.plainLine(t)
	c, err := rawh2.New(p.nc)
	if err != nil {
		t.Fatal(err)
	}
	for host, status := range map[string]int{"both.test": 200, "a.test": 308, "unknown.test": 421} {
		if r, err := c.Do(rawh2.Get("http", host, "/"), nil); err != nil || r.Status != status {
			t.Errorf("h2c %s: %v %v, want %d", host, r, err, status)
		}
	}
}
