package probe

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// What hosts that asked for a client certificate answer without one, and what that means. Pages are those of nginx 1.22, Apache httpd 2.4,
// HAProxy 2.6 and Tomcat 10.
func TestClientAuth(t *testing.T) {
	alert := func(name string) wire.Answer { return wire.Answer{Failure: wire.Alert, Detail: name, Closed: true} }
	nginx := func(text string) wire.Answer {
		return page(400, "<html>\r\n<head><title>400 "+text+"</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>"+text+"</center>\r\n")
	}
	forbidden := page(403, "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n")
	for _, test := range []struct {
		name  string
		plain wire.Answer
		shown Baseline
		want  ClientAuth
	}{
		{"OpenSSL, TLS 1.3", alert("certificate_required"), nil, AuthRequired},
		{"OpenSSL, TLS 1.2", alert("handshake_failure"), nil, AuthRequired},
		{"Java", alert("bad_certificate"), nil, AuthRequired},
		{"an alert about something else", alert("internal_error"), nil, AuthUnclear},
		{"the same, and a certificate helps", alert("internal_error"), twice(page(200, "in\n")), AuthRequired},
		{"nginx", nginx("No required SSL certificate was sent"), nil, AuthRequired},
		{"nginx, a bad one", nginx("The SSL certificate error"), nil, AuthRequired},
		{"nginx, as it says inside", page(496, ""), nil, AuthRequired},
		{"a bad request", nginx("Request Header Or Cookie Too Large"), nil, AuthUnclear},
		{"HAProxy, by a rule", forbidden, nil, AuthRequired},
		{"the same with a certificate", forbidden, twice(forbidden), AuthUnclear},
		{"a certificate that is not good enough", page(403, "no client certificate\n"), twice(page(403, "no client certificate\n")), AuthRequired},
		{"Tomcat", page(401, "<p><b>Message</b> No client certificate chain in this request</p>"), nil, AuthRequired},
		{"a password", page(401, "who are you?", "www-authenticate", `Basic realm="x"`), nil, AuthUnclear},
		{"a password, on a page that speaks of certificates", page(401, "a client certificate or a password", "www-authenticate", `Basic realm="x"`), nil, AuthUnclear},
		{"a password, with 403", page(403, "", "www-authenticate", "Bearer"), nil, AuthUnclear},
		{"a password, or a certificate that is good", page(401, "", "www-authenticate", "Basic"), twice(page(200, "in\n")), AuthRequired},
		{"a password and a certificate", page(401, "", "www-authenticate", "Basic"), twice(page(401, "", "www-authenticate", "Basic")), AuthUnclear},
		{"401 without a word", page(401, ""), nil, AuthUnclear},
		{"421", page(421, ""), nil, AuthRequired},
		{"closed", wire.Answer{Failure: wire.Closed, Closed: true}, nil, AuthUnclear},
		{"closed, and a certificate helps", wire.Answer{Failure: wire.Closed, Closed: true}, twice(page(200, "in\n")), AuthRequired},
		{"silent", wire.Answer{Failure: wire.Timeout, Closed: true}, nil, AuthOptional},
		{"open", page(200, "for all\n"), nil, AuthOptional},
		{"not found", page(404, ""), nil, AuthOptional},
	} {
		o := &Own{Facts: wire.Facts{Asked: true}, Plain: Baseline{test.plain}, Shown: test.shown}
		if got := o.ClientAuth(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	// httpd wants to ask after the handshake, and cannot ask clients that do not offer it.
	late := page(403, "<p>You don't have permission to access this resource.Reason: Cannot perform Post-Handshake Authentication.<br />\n</p>\n")
	if o := (&Own{Plain: twice(late)}); o.ClientAuth() != AuthRequired || !o.late() {
		t.Errorf("after the handshake: %s", o.ClientAuth())
	}
	if o := (&Own{Plain: twice(page(403, "no client certificate\n"))}); o.ClientAuth() != AuthNone || o.late() {
		t.Errorf("not asked: %s", o.ClientAuth())
	}
}

// A site that asks for client certificates and for a password: what opens it elsewhere may be another site's page, and is no bypass for
// certain.
func TestJudgePassword(t *testing.T) {
	w := newWorld(t)
	own := w.staff.Own[wire.H2]
	own.Plain = twice(page(401, "who are you?\n", "www-authenticate", `Basic realm="staff"`))
	own.Facts.Issuers[0] = 1
	salaries := page(200, "salaries\n")
	sni := observe(w.one, w.staff, wire.H2, salaries)
	sni.Check, sni.Kind, sni.From = CheckSNI, NoSNI, nil
	session := observe(w.one, w.staff, wire.H2, salaries)
	session.Check, session.Session, session.From, session.Replies[0].Facts.Resumed = CheckResume, w.one, w.staff, true
	two := observe(w.one, w.staff, wire.H1, salaries)
	two.Check, two.Asks[0].Kind = CheckParse, AbsoluteForm
	for name, x := range map[string]*Observation{"reuse": observe(w.one, w.staff, wire.H2, salaries), "sni": sni, "session": session, "parse": two} {
		j := Judge(w.hosts(), []*Observation{x}, h2)
		if found(j) != "" || len(j.Pairs) != 1 || j.Pairs[0].Outcome != CannotTell {
			t.Errorf("%s: %q, %+v", name, found(j), j.Pairs)
		}
		own.Shown = twice(salaries) // now it is known for certain
		if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "critical bypass" {
			t.Errorf("%s, with a certificate that opens it: %q", name, found(j))
		}
		own.Shown = nil
	}
	// The page of names that nobody has is another site's for certain.
	stranger := observe(w.one, w.two, wire.H2, salaries)
	stranger.Check, stranger.Asks[0] = CheckParse, Ask{Kind: UnknownAuthority, Request: wire.Request{Authority: unknownName}}
	for name, x := range map[string]*Observation{"reuse": observe(w.one, w.staff, wire.H2, salaries), "sni": sni} {
		j := Judge(w.hosts(), []*Observation{x, stranger}, h2)
		if want := map[string]string{"reuse": "high wrong-content, low uncovered", "sni": "low uncovered"}[name]; found(j) != want {
			t.Errorf("%s, as for a name that nobody has: %q, want %q", name, found(j), want)
		}
	}
	// Over another protocol it is open.
	w.staff.Own[wire.H1] = &Own{Address: here, Facts: wire.Facts{Chain: own.Facts.Chain}, Plain: twice(page(200, "for all\n"))}
	j := Judge(w.hosts(), nil, Options{Protocols: []wire.Protocol{wire.H1, wire.H2}})
	if found(j) != "" || len(j.Pairs) != 1 || j.Pairs[0].Outcome != CannotTell {
		t.Errorf("another protocol: %q, %+v", found(j), j.Pairs)
	}
}

// A refusal without a word is one for want of a certificate where it meets everybody on the host's connection, others that are open elsewhere
// included: then it is about the connection. One that comes by the request's host may be about anything.
func TestJudgeWall(t *testing.T) {
	no := page(401, "")
	both := Options{Protocols: []wire.Protocol{wire.H1, wire.H2}}
	for name, test := range map[string]struct {
		change func(w *world, on, elsewhere *Observation) // requests for one on staff's connection, and for staff on that of one
		want   string
		auth   ClientAuth
	}{
		"everybody is refused": {func(*world, *Observation, *Observation) {}, "critical bypass", AuthRequired},
		"with 400 and a page": {func(w *world, on, _ *Observation) {
			on.Replies[0].Answer = page(400, "bad\n")
			w.staff.Own[wire.H2].Plain = twice(page(400, "bad\n"))
		}, "critical bypass", AuthRequired},
		"the other host is served":            {func(_ *world, on, _ *Observation) { on.Replies[0].Answer = page(200, "the first\n") }, "", AuthUnclear},
		"the other host gets another refusal": {func(_ *world, on, _ *Observation) { on.Replies[0].Answer = page(403, "") }, "", AuthUnclear},
		"421 says nothing of it":              {func(_ *world, on, _ *Observation) { on.Replies[0].Answer = page(421, "", "cache-control", "no-store") }, "", AuthUnclear},
		"nor does silence":                    {func(_ *world, on, _ *Observation) { on.Replies[0].Answer = wire.Answer{Failure: wire.Timeout} }, "", AuthUnclear},
		"a third host is served": {func(w *world, on, _ *Observation) {
			on.Asks = append(on.Asks, Ask{Host: w.two, Request: wire.Request{Authority: "two.test"}, Covered: true})
			on.Replies = append(on.Replies, Reply{Answer: page(200, "the second\n"), Facts: on.Facts})
		}, "", AuthUnclear},
		"the other host is refused on its own, too": {func(w *world, _, _ *Observation) { w.one.Own[wire.H2].Plain = twice(no) }, "", AuthUnclear},
		"a password": {func(w *world, on, _ *Observation) {
			locked := page(401, "", "www-authenticate", `Basic realm="staff"`)
			on.Replies[0].Answer, w.staff.Own[wire.H2].Plain = locked, twice(locked)
		}, "", AuthUnclear},
		"our certificate gets the same": {func(w *world, _, _ *Observation) { w.staff.Own[wire.H2].Shown = twice(no) }, "", AuthUnclear},
		"seen with our certificate":     {func(_ *world, on, _ *Observation) { on.Certificate = true }, "", AuthUnclear},
		"it gets the connection's page": {func(w *world, _, x *Observation) { x.Replies[0].Answer = page(200, "the first\n") }, "high wrong-content", AuthRequired},
		"it is open over another protocol": {func(w *world, _, _ *Observation) {
			w.staff.Own[wire.H1] = &Own{Address: here, Facts: w.staff.Own[wire.H2].Facts, Plain: twice(page(200, "for all\n"))}
		}, "", AuthUnclear},
	} {
		w := newWorld(t)
		w.staff.Own[wire.H2].Plain = twice(no)
		on, elsewhere := observe(w.staff, w.one, wire.H2, no), observe(w.one, w.staff, wire.H2, page(200, "salaries\n"))
		test.change(w, on, elsewhere)
		got := found(Judge(w.hosts(), []*Observation{on, elsewhere}, both))
		got = strings.TrimPrefix(strings.ReplaceAll(got, "high not-retried", ""), ", ") // of the other host on staff's connection
		if strings.Trim(got, ", ") != test.want || w.staff.Own[wire.H2].ClientAuth() != test.auth {
			t.Errorf("%s: %q, %s, want %q, %s", name, got, w.staff.Own[wire.H2].ClientAuth(), test.want, test.auth)
		}
		// The same observations mean the same, and fewer of them less.
		Judge(w.hosts(), []*Observation{elsewhere}, both)
		if got := w.staff.Own[wire.H2].ClientAuth(); got != AuthUnclear {
			t.Errorf("%s: afterwards %s", name, got)
		}
	}
}

// A host that closes each connection without a certificate is not one that cannot be reached.
func TestUnclearIsReachable(t *testing.T) {
	w := newWorld(t)
	w.staff.Own[wire.H2].Plain = Baseline{{Failure: wire.Closed, Detail: "connection closed", Closed: true}}
	if !w.staff.Reachable() || w.staff.Protected() || !w.staff.guarded() {
		t.Errorf("reachable %v, protected %v, guarded %v", w.staff.Reachable(), w.staff.Protected(), w.staff.guarded())
	}
}

// On a connection that was asked for the same certificates, a refusal for want of one is the host's own, and no other connection would help.
func TestJudgeAskedAlike(t *testing.T) {
	for _, test := range []struct {
		asked bool
		other byte // other issuers
		want  string
	}{{true, 0, ""}, {true, 1, "high not-retried"}, {false, 0, "high not-retried"}} {
		w := newWorld(t)
		no := page(403, "no\n")
		w.staff.Own[wire.H2].Plain = twice(no)
		x := observe(w.one, w.staff, wire.H2, no)
		x.Replies[0].Facts.Asked, x.Replies[0].Facts.Issuers[0] = test.asked, test.other
		if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != test.want {
			t.Errorf("asked %v, other issuers %d: %q, want %q", test.asked, test.other, found(j), test.want)
		}
	}
}

// Clients that are told to come back over HTTP/1.1 do so by themselves.
func TestJudgeFallback(t *testing.T) {
	w := newWorld(t)
	x := observe(w.one, w.two, wire.H2, wire.Answer{Failure: wire.Reset, Detail: "HTTP_1_1_REQUIRED"})
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "" || j.Pairs[0].Outcome != Refused {
		t.Errorf("%q, %+v", found(j), j.Pairs)
	}
	x = observe(w.one, w.two, wire.H2, wire.Answer{Failure: wire.Reset, Detail: "PROTOCOL_ERROR"})
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "high not-retried" {
		t.Errorf("%q", found(j))
	}
}

// A server that asks for certificates request by request answers alike on every connection.
func TestJudgeLate(t *testing.T) {
	late := page(403, "Reason: Cannot perform Post-Handshake Authentication.")
	w := newWorld(t)
	own := w.staff.Own[wire.H2]
	own.Facts.Asked, own.Plain = false, twice(late)
	x := observe(w.one, w.staff, wire.H2, late)
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "" || j.Pairs[0].Outcome != Served || !w.staff.Protected() {
		t.Errorf("%q, %+v", found(j), j.Pairs)
	}
	own.Facts = wire.Facts{Version: tls.VersionTLS12, Chain: own.Facts.Chain, Asked: true, Late: true}
	own.Plain = Baseline{{Failure: wire.Alert, Detail: "handshake_failure", Closed: true}}
	x = observe(w.one, w.staff, wire.H2, own.Plain[0])
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "" || j.Pairs[0].Outcome != CannotTell {
		t.Errorf("%q, %+v", found(j), j.Pairs)
	}
	x = observe(w.one, w.staff, wire.H2, page(200, "salaries\n"))
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "critical bypass" {
		t.Errorf("%q", found(j))
	}
}

// The alert of TLS 1.3 comes with the close, and may be lost by it; under TLS 1.2 it comes in the handshake. Where there is none either,
// the reason is not known.
func TestLiveLostAlert(t *testing.T) {
	pair := testca.New(t).Server(t, "staff.test")
	for refuses, want := range map[bool]ClientAuth{true: AuthRequired, false: AuthUnclear} {
		port := listen(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				if refuses && !slices.Contains(h.SupportedVersions, tls.VersionTLS13) {
					return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}, nil
				}
				return nil, nil
			}})
			s.Handshake()
			s.Read(make([]byte, 1))
			c.Close() // without an alert
		})
		hosts := surveyed(t, port)
		if got := hosts[0].ClientAuth(wire.H1); got != want {
			t.Errorf("refuses %v: %s, want %s: %+v", refuses, got, want, hosts[0].Own[wire.H1])
		}
	}
}

// Where TLS 1.2 is not spoken, the alert is listened for without a request that could overtake it. What a server says to a handshake of TLS 1.2
// before it has asked for a certificate is not about one.
func TestLiveLostAlertWithout12(t *testing.T) {
	pair := testca.New(t).Server(t, "staff.test")
	for name, test := range map[string]struct {
		later  tls.ClientAuthType // of the connections after the first one
		old    *tls.Config        // for clients of TLS 1.2
		want   ClientAuth
		closes bool // also where nothing is asked
	}{
		"an alert that was lost":            {tls.RequireAnyClientCert, &tls.Config{MinVersion: tls.VersionTLS13}, AuthRequired, false},
		"no alert":                          {tls.RequestClientCert, &tls.Config{MinVersion: tls.VersionTLS13}, AuthUnclear, true},
		"no alert, no cipher for TLS 1.2":   {tls.RequestClientCert, &tls.Config{CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}, AuthUnclear, true},
		"no cipher, but the alert is heard": {tls.RequireAnyClientCert, &tls.Config{CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}, AuthRequired, false},
	} {
		t.Run(name, func(t *testing.T) {
			var visits atomic.Int32
			port := listen(t, func(c net.Conn) {
				s := tls.Server(c, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					config := test.old.Clone()
					config.Certificates = []tls.Certificate{pair}
					if slices.Contains(h.SupportedVersions, tls.VersionTLS13) {
						config.CipherSuites, config.ClientAuth = nil, tls.RequestClientCert
						if visits.Add(1) > 1 {
							config.ClientAuth = test.later
						}
					}
					return config, nil
				}})
				if s.Handshake() == nil && !(test.closes && visits.Load() > 1) {
					s.Read(make([]byte, 1))
				}
				c.Close() // without an alert
			})
			hosts := surveyed(t, port)
			if got := hosts[0].ClientAuth(wire.H1); got != test.want {
				t.Errorf("%s, want %s: %+v", got, test.want, hosts[0].Own[wire.H1])
			}
		})
	}
}

// surveyed is staff.test on a port of this machine, over HTTP/1.1.
func surveyed(t *testing.T, port string) []*Host {
	t.Helper()
	target, err := ParseTarget("staff.test:" + port)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := Survey(t.Context(), []Target{target}, Options{Protocols: []wire.Protocol{wire.H1}, TargetRate: -1, Resolve: loopback,
		Limits: unhurried})
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}
