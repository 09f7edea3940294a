package probe

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/netip"
	"testing"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// place is where the hosts of the tests are.
var here = netip.MustParseAddrPort("192.0.2.1:443")

// page is a whole answer.
func page(status int, body string, fields ...string) wire.Answer {
	a := wire.Answer{Status: status, Body: []byte(body), Size: int64(len(body)), Digest: sha256.Sum256([]byte(body))}
	for i := 0; i < len(fields); i += 2 {
		a.Fields = append(a.Fields, [2]string{fields[i], fields[i+1]})
	}
	return a
}

func twice(a wire.Answer) Baseline { return Baseline{a, a} }

// A world is hosts at one address, over HTTP/2 alone.
type world struct {
	shared, blog *x509.Certificate
	one, two     *Host // share a certificate with staff
	staff        *Host // wants a client certificate and ends the handshake without
	other        *Host // blog, with a certificate of its own
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca := testca.New(t)
	w := &world{shared: ca.Server(t, "one.test", "two.test", "staff.test").Leaf, blog: ca.Server(t, "blog.test").Leaf}
	w.one = host(t, "one.test", w.shared, twice(page(200, "the first\n")))
	w.two = host(t, "two.test", w.shared, twice(page(200, "the second\n")))
	w.other = host(t, "blog.test", w.blog, twice(page(200, "the blog\n")))
	w.staff = host(t, "staff.test", w.shared, Baseline{{Failure: wire.Alert, Detail: "certificate_required", Closed: true}})
	w.staff.Own[wire.H2].Facts.Asked = true
	return w
}

func (w *world) hosts() []*Host { return []*Host{w.one, w.two, w.staff, w.other} }

func host(t *testing.T, name string, leaf *x509.Certificate, plain Baseline) *Host {
	t.Helper()
	target, err := ParseTarget(name)
	if err != nil {
		t.Fatal(err)
	}
	return &Host{Target: target, Addresses: []netip.AddrPort{here}, Own: map[wire.Protocol]*Own{
		wire.H2: {Address: here, Facts: wire.Facts{Version: tls.VersionTLS13, Chain: []*x509.Certificate{leaf}}, Plain: plain},
	}}
}

// discard is for servers whose complaints nobody wants.
var discard = log.New(io.Discard, "", 0)

// h2 are the options of the tests.
var h2 = Options{Protocols: []wire.Protocol{wire.H2}}

// observe makes an observation of B asked for on A's connection.
func observe(a, b *Host, proto wire.Protocol, answer wire.Answer) *Observation {
	own := a.Own[wire.H2]
	covered := Covers(own.Facts.Leaf(), b.Target)
	return &Observation{
		Step: &Step{Check: CheckReuse, Protocol: proto, Address: here, From: a, ServerName: a.SNI(), Asks: []Ask{{
			Kind: Plain, Host: b, Request: wire.Request{Authority: b.Name()}, Covered: covered, Coalescible: covered && proto != wire.H1, Reasons: []string{ByAddress},
		}}},
		Facts:   own.Facts,
		Replies: []Reply{{Answer: answer, Facts: own.Facts}},
	}
}

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
