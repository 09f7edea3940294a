package usher_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/localca"
)

// sf writes a certificate as a structured-field byte sequence.
func sf(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

// gatewayLine is a connection from a trusted gateway's address.
func gatewayLine(t *testing.T, addr, proto, sni string) *line {
	t.Helper()
	return (&caller{addr: addr, sni: sni, proto: proto, from: "127.0.0.2"}).open(t)
}

// RFC 9110 section 7.4: "Unless the connection is from a trusted gateway". Its requests are excused from 2, 5, 7 and 8.
func TestTrustedGateway(t *testing.T) {
	w := newWorld(t, trust)
	for _, proto := range protos {
		l := gatewayLine(t, w.public, proto, "a.test")
		for host, want := range map[string]authority.Reason{
			"a.test": authority.OK, "cert.test": authority.OK, "new.test": authority.OK, "own.test": authority.OK,
			"unknown.test": authority.UnknownOrigin, "side.test:9443": authority.WrongListener,
			"staff.test": authority.ClientAuthMismatch, "maybe.test": authority.ClientAuthMismatch,
		} {
			status := 421
			if want == authority.OK {
				status = 200
			}
			a := l.get(host)
			a.wantReason(t, proto+" "+host, status, want)
			if a.header.Get("X-Observed") != "ok" {
				t.Errorf("%s %s: what a gateway is excused from is observed", proto, host)
			}
		}
		w.open(t, proto, "a.test").get("cert.test").wantReason(t, proto+" somebody else", 421, authority.CertificateMismatch)
		// The gateway's own client certificate is not its clients'.
		own := (&caller{addr: w.public, sni: "staff.test", proto: proto, from: "127.0.0.2",
			tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
		own.get("staff.test").wantReason(t, proto+" the gateway's own certificate", 421, authority.ClientAuthMismatch)
	}
}

// RFC 9440 section 2: the chain is verified here, under the site's own CA set.
func TestClientCertFields(t *testing.T) {
	w := newWorld(t, trust)
	ann := sf(w.client.Certificate[0])
	now := time.Now()
	issue := func(l localca.Leaf) string { return sf(w.ca1.Issue(t, l).Certificate[0]) }
	tests := map[string]struct {
		fields []string
		passes bool
	}{
		"good":               {[]string{"Client-Cert", ann}, true},
		"good, with a chain": {[]string{"Client-Cert", ann, "Client-Cert-Chain", sf(w.ca1.Root().Raw)}, true},
		"good, with spaces":  {[]string{"Client-Cert", "  " + ann + " "}, true},
		"none":               {nil, false},
		"chain alone":        {[]string{"Client-Cert-Chain", ann}, false},
		"another CA":         {[]string{"Client-Cert", sf(w.ca2.Client(t, "bob").Certificate[0])}, false},
		"expired": {[]string{"Client-Cert", issue(localca.Leaf{Client: true, CommonName: "old",
			NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})}, false},
		"not yet valid": {[]string{"Client-Cert", issue(localca.Leaf{Client: true, CommonName: "new",
			NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)})}, false},
		"for servers":        {[]string{"Client-Cert", issue(localca.Leaf{Hosts: []string{"s.test"}})}, false},
		"empty":              {[]string{"Client-Cert", ""}, false},
		"colons":             {[]string{"Client-Cert", "::"}, false},
		"one colon":          {[]string{"Client-Cert", ":"}, false},
		"no colons":          {[]string{"Client-Cert", strings.Trim(ann, ":")}, false},
		"no base64":          {[]string{"Client-Cert", ":*:"}, false},
		"no certificate":     {[]string{"Client-Cert", sf([]byte("x"))}, false},
		"trailing bytes":     {[]string{"Client-Cert", sf(append(w.client.Certificate[0][:len(w.client.Certificate[0]):len(w.client.Certificate[0])], 0))}, false},
		"twice":              {[]string{"Client-Cert", ann, "Client-Cert", ann}, false},
		"a list":             {[]string{"Client-Cert", ann + ", " + ann}, false},
		"with a parameter":   {[]string{"Client-Cert", ann + ";x"}, false},
		"garbage chain":      {[]string{"Client-Cert", ann, "Client-Cert-Chain", "x"}, false},
		"an endless chain":   {[]string{"Client-Cert", ann, "Client-Cert-Chain", strings.Repeat(ann+",", 16) + ann}, false},
		"PEM in the field":   {[]string{"Client-Cert", "-----BEGIN CERTIFICATE-----"}, false},
		"an empty chain":     {[]string{"Client-Cert", ann, "Client-Cert-Chain", ""}, false},
		"underscores in it":  {[]string{"Client_Cert", ann}, false},
		"X-SSL-Client-Cert":  {[]string{"X-SSL-Client-Cert", ann}, false},
		"another field name": {[]string{"X-Client-Cert", ann}, false},
	}
	for _, proto := range protos {
		for name, test := range tests {
			l := gatewayLine(t, w.public, proto, "a.test")
			want, status := authority.OK, 200
			if !test.passes {
				want, status = authority.ClientAuthMismatch, 421
			}
			for _, host := range []string{"staff.test", "maybe.test"} {
				l.get(host, test.fields...).wantReason(t, proto+" "+name+": "+host, status, want)
			}
			// What passed once passes with its own fields only.
			l.get("staff.test").wantReason(t, proto+" "+name+", then none", 421, authority.ClientAuthMismatch)
			if a := l.get("other.test", test.fields...); (a.status == 200) != (name == "another CA") {
				t.Errorf("%s %s: other.test, which has another CA: %d", proto, name, a.status)
			}
			if test.passes {
				// From anybody else they are a lie.
				w.open(t, proto, "a.test").get("staff.test", test.fields...).
					wantReason(t, proto+" "+name+" from elsewhere", 421, authority.ClientAuthMismatch)
			}
		}
	}
}

// A chain with an intermediate certificate, which the gateway must send along.
func TestClientCertChain(t *testing.T) {
	rootKey, root := certify(t, "root", nil, nil, true)
	middleKey, middle := certify(t, "middle", root, rootKey, true)
	_, leaf := certify(t, "leaf", middle, middleKey, false)
	w := newWorld(t, func(c *usher.Config) {
		trust(c)
		c.Sites[3].ClientCAs = []*x509.Certificate{root}
	})
	for _, proto := range protos {
		l := gatewayLine(t, w.public, proto, "a.test")
		l.get("staff.test", "Client-Cert", sf(leaf.Raw)).wantReason(t, proto+" no chain", 421, authority.ClientAuthMismatch)
		l.get("staff.test", "Client-Cert", sf(leaf.Raw), "Client-Cert-Chain", sf(middle.Raw)).wantReason(t, proto+" chain", 200, authority.OK)
		l.get("staff.test", "Client-Cert", sf(leaf.Raw), "Client-Cert-Chain", sf(middle.Raw)+" , "+sf(root.Raw)).
			wantReason(t, proto+" chain with the root", 200, authority.OK)
		l.get("staff.test", "Client-Cert", sf(leaf.Raw), "Client-Cert-Chain", sf(middle.Raw), "Client-Cert-Chain", sf(root.Raw)).
			wantReason(t, proto+" chain in two lines", 200, authority.OK)
	}
}

func certify(t *testing.T, name string, parent *x509.Certificate, by *ecdsa.PrivateKey, ca bool) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: ca,
	}
	if !ca {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// The fields reach a site that wants client certificates, from a trusted gateway, and nobody else.
func TestClientCertFieldsAreRemoved(t *testing.T) {
	w := newWorld(t, trust)
	srv := newServer(w.g, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "Client-") {
				io.WriteString(rw, name+" ")
			}
		}
	}))
	srv.ConnContext = w.g.OnListener("public")
	addr := serveTLS(t, w.g, srv)
	fields := []string{"client-cert", sf(w.client.Certificate[0]), "CLIENT-CERT-CHAIN", sf(w.ca1.Root().Raw)}
	underscored := []string{"client_cert", "x", "Client_Cert-Chain", "x", "client_cert_chain", "x", "CLIENT-CERT_CHAIN", "x"}
	for _, proto := range protos {
		gateway := gatewayLine(t, addr, proto, "a.test")
		if a := gateway.get("staff.test", fields...); !strings.Contains(a.body, "Client-Cert ") || !strings.Contains(a.body, "Client-Cert-Chain ") {
			t.Errorf("%s: a trusted gateway's fields do not arrive: %d %q", proto, a.status, a.body)
		}
		if a := gateway.get("staff.test", append(underscored, fields...)...); a.status != 200 || strings.Contains(a.body, "_") {
			t.Errorf("%s: a trusted gateway passes on what its client made up: %d %q", proto, a.status, a.body)
		}
		staff := (&caller{addr: addr, sni: "staff.test", proto: proto, tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
		for what, a := range map[string]answer{
			"a gateway to a site without client authentication": gateway.get("a.test", fields...),
			"a stranger":                     staff.get("a.test", fields...),
			"a stranger with a certificate":  staff.get("staff.test", fields...),
			"a stranger, the chain alone":    staff.get("staff.test", fields[2:]...),
			"a gateway, the chain to a.test": gateway.get("a.test", fields[2:]...),
			// CGI and its kin make one variable of both spellings (RFC 3875 section 4.1.18).
			"a stranger, with underscores": staff.get("a.test", underscored...),
			"a gateway, with underscores":  gateway.get("a.test", underscored...),
		} {
			if a.status != 200 || a.body != "" {
				t.Errorf("%s: %s: %d %q arrives", proto, what, a.status, a.body)
			}
		}
	}
}

// What scheme a gateway's client used, the gateway says.
func TestForwardedScheme(t *testing.T) {
	w := newWorld(t, trust)
	ask := func(from, host string, fields ...string) answer {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		nc, err := d.Dial("tcp", w.plain)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { nc.Close() })
		raw := "GET / HTTP/1.1\r\nHost: " + host + "\r\n"
		for i := 0; i < len(fields); i += 2 {
			raw += fields[i] + ": " + fields[i+1] + "\r\n"
		}
		l := line{t: t, br: bufio.NewReader(nc)}
		return l.exchange("GET", raw+"\r\n", nc)
	}
	for _, test := range []struct {
		name   string
		fields []string
		https  bool
	}{
		{"nothing", nil, false},
		{"X-Forwarded-Proto", []string{"X-Forwarded-Proto", "https"}, true},
		{"X-Forwarded-Proto http", []string{"X-Forwarded-Proto", "http"}, false},
		{"the last of several counts", []string{"X-Forwarded-Proto", "http, HTTPS"}, true},
		{"the last of several counts, http", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"}, false},
		{"garbage", []string{"X-Forwarded-Proto", "gopher"}, false},
		{"Forwarded", []string{"Forwarded", "for=192.0.2.1;proto=https;by=x"}, true},
		{"Forwarded in quotes", []string{"Forwarded", `for="[2001:db8::1]"; Proto="https"`}, true},
		{"what a client said, in quotes", []string{"Forwarded", `for=x;proto=https;by="a;proto=http, proto=http"`}, true},
		{"a quote in quotes", []string{"Forwarded", `for=x;proto=http;by="a\";proto=https, proto=https"`}, false},
		{"the last element", []string{"Forwarded", "proto=https, for=x;proto=http"}, false},
		{"the last element has none", []string{"Forwarded", "proto=https;for=x, for=y"}, false},
		{"Forwarded before X-Forwarded-Proto", []string{"Forwarded", "proto=https", "X-Forwarded-Proto", "http"}, true},
	} {
		want, status := authority.Redirect, 308
		if test.https {
			want, status = authority.OK, 200
		}
		ask("127.0.0.2", "a.test", test.fields...).wantReason(t, test.name, status, want)
		ask("127.0.0.1", "a.test", test.fields...).wantReason(t, test.name+" from a stranger", 308, authority.Redirect)
		if a := ask("127.0.0.2", "staff.test", test.fields...); a.status == 200 {
			t.Errorf("%s: leads past client authentication", test.name)
		}
	}
	// A gateway may bring a client's certificate in plaintext too.
	ask("127.0.0.2", "staff.test", "X-Forwarded-Proto", "https", "Client-Cert", sf(w.client.Certificate[0])).
		wantReason(t, "certificate in plaintext", 200, authority.OK)
	ask("127.0.0.1", "staff.test", "X-Forwarded-Proto", "https", "Client-Cert", sf(w.client.Certificate[0])).
		wantReason(t, "certificate in plaintext from a stranger", 308, authority.Redirect)
}

// masked is a connection whose wrapper says what a PROXY header said.
type masked struct {
	net.Conn
	said net.Addr
}

func (m masked) RemoteAddr() net.Addr { return m.said }
func (m masked) Raw() net.Conn        { return m.Conn }

type maskedListener struct{ net.Listener }

func (l maskedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return masked{c, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 1}}, nil
}

// Trust goes by the socket's peer: not by a PROXY header, not by a field.
func TestTrustGoesBySocket(t *testing.T) {
	w := newWorld(t, trust)
	srv := newServer(w.g, echo)
	srv.Handler, srv.ConnContext = withReason(w.g, echo), w.g.OnListener("public")
	l := maskedListener{listen(t)}
	background(t, srv, func() error { return w.g.ServeTLS(srv, l, "", "") })
	for _, proto := range protos {
		c := (&caller{addr: l.Addr().String(), sni: "a.test", proto: proto}).open(t)
		c.get("cert.test", "X-Forwarded-For", "127.0.0.2", "Forwarded", "for=127.0.0.2").
			wantReason(t, proto+" a PROXY header", 421, authority.CertificateMismatch)
		gatewayLine(t, l.Addr().String(), proto, "a.test").get("cert.test").wantReason(t, proto+" the socket", 200, authority.OK)
	}
}

// slow is a connection that waits for its client before it tells its addresses, as wrappers for PROXY headers do.
type slow struct {
	net.Conn
	ready chan struct{}
}

func (s slow) LocalAddr() net.Addr  { <-s.ready; return s.Conn.LocalAddr() }
func (s slow) RemoteAddr() net.Addr { <-s.ready; return s.Conn.RemoteAddr() }

type slowListener struct {
	net.Listener
	first chan struct{}
	n     int
}

func (l *slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	if l.n++; l.n == 1 {
		ready = l.first
	} else {
		close(ready)
	}
	return slow{c, ready}, nil
}

// A client that says nothing keeps nobody else waiting.
func TestAcceptDoesNotWait(t *testing.T) {
	w := newWorld(t, nil)
	srv := newServer(w.g, echo)
	srv.ConnContext = w.g.ConnContext // it goes by the port
	l := &slowListener{Listener: listen(t), first: make(chan struct{})}
	background(t, srv, func() error { return w.g.ServeTLS(srv, l, "", "") })
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer close(l.first)
	c := caller{addr: l.Addr().String(), sni: "a.test", proto: "h1"}
	if _, err := c.dial("http/1.1"); err != nil {
		t.Fatalf("the second client is not served: %v", err)
	}
}

// Connections that exist are judged by the trust of the moment.
func TestTrustIsTakenAway(t *testing.T) {
	w := newWorld(t, trust)
	l := gatewayLine(t, w.public, "h2", "a.test")
	l.get("cert.test").want(t, "trusted", 200)
	c := usher.Config{Sites: w.sites(t), Logger: w.book.logger(), Listeners: []usher.Listener{{Name: "public", Ports: []uint16{443}}}}
	if err := w.g.Replace(c); err != nil {
		t.Fatal(err)
	}
	l.get("cert.test").wantReason(t, "no longer trusted", 421, authority.CertificateMismatch)
	c.Listeners[0].TrustedGateways = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}
	if err := w.g.Replace(c); err != nil {
		t.Fatal(err)
	}
	l.get("cert.test").wantReason(t, "trusted again", 200, authority.OK)
}
