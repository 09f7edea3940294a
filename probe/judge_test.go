package probe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/probe/wire"
)

// found writes findings as short lines.
func found(j Judgement) string {
	var list []string
	for _, f := range j.Findings {
		if f.ID != Hygiene {
			list = append(list, fmt.Sprintf("%s %s", f.Severity, f.ID))
		}
	}
	return strings.Join(list, ", ")
}

func TestJudgeReuse(t *testing.T) {
	misdirected := page(421, "", "cache-control", "no-store")
	for _, test := range []struct {
		name    string
		from    func(*world) *Host
		to      func(*world) *Host
		proto   wire.Protocol
		answer  wire.Answer
		outcome Outcome
		content Content
		want    string
	}{
		{"its own content", one, two, wire.H2, page(200, "the second\n"), Served, OfHost, ""},
		{"the connection's content", one, two, wire.H2, page(200, "the first\n"), Wrong, OfConnection, "high wrong-content"},
		{"somebody's content", one, two, wire.H2, page(200, "welcome to nginx, the web server\n"), Wrong, OfNobody, "high wrong-content"},
		{"the same over HTTP/1.1", one, two, wire.H1, page(200, "the first\n"), Wrong, OfConnection, "medium wrong-content"},
		{"404 where it is not there", one, two, wire.H2, page(404, "not found\n"), Broken, OfNobody, "high not-retried"},
		{"403", one, two, wire.H2, page(403, ""), Broken, OfNobody, "high not-retried"},
		{"a reset", one, two, wire.H2, wire.Answer{Failure: wire.Reset, Detail: "PROTOCOL_ERROR"}, Broken, NoContent, "high not-retried"},
		{"404 over HTTP/1.1", one, two, wire.H1, page(404, "not found\n"), Broken, OfNobody, "low not-retried"},
		{"too many requests", one, two, wire.H2, page(429, ""), CannotTell, OfNobody, ""},
		{"a service that is busy", one, two, wire.H2, page(503, ""), CannotTell, OfNobody, ""},
		{"silence", one, two, wire.H2, wire.Answer{Failure: wire.Timeout}, CannotTell, NoContent, ""},
		{"421 without the other way round", one, two, wire.H2, misdirected, OwnOnly, OfNobody, ""},
		{"a certificate that does not cover it", blog, one, wire.H2, page(200, "the first\n"), NotCovered, OfHost, "medium uncovered"},
		{"the connection's content without covering", blog, one, wire.H2, page(200, "the blog\n"), NotCovered, OfConnection, "low uncovered"},
		{"421 without covering", blog, one, wire.H2, misdirected, Refused, OfNobody, ""},
		{"404 without covering", blog, one, wire.H2, page(404, "x"), Broken, OfNobody, "low not-retried"},
		{"behind client authentication", one, staff, wire.H2, page(200, "salaries\n"), Open, OfNobody, "critical bypass"},
		{"the same over HTTP/1.1", one, staff, wire.H1, page(200, "salaries\n"), Open, OfNobody, "critical bypass"},
		{"a redirect that nobody knows", one, staff, wire.H2, page(302, "", "location", "https://login.test/"), CannotTell, OfNobody, ""},
		{"the connection's content for it", one, staff, wire.H2, page(200, "the first\n"), Wrong, OfConnection, "high wrong-content"},
		{"421 for it", one, staff, wire.H2, misdirected, Refused, OfNobody, ""},
		{"403 for it", one, staff, wire.H2, page(403, "no\n"), Broken, OfNobody, "high not-retried"},
		{"uncovered and behind client authentication", blog, staff, wire.H2, page(200, "salaries\n"), Open, OfNobody, "critical bypass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			j := Judge(w.hosts(), []*Observation{observe(test.from(w), test.to(w), test.proto, test.answer)}, h2)
			if len(j.Pairs) != 1 || j.Pairs[0].Outcome != test.outcome || j.Pairs[0].Content != test.content {
				t.Errorf("pairs %+v, want outcome %s, content %q", j.Pairs, test.outcome, test.content)
			}
			if got := found(j); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func one(w *world) *Host   { return w.one }
func two(w *world) *Host   { return w.two }
func staff(w *world) *Host { return w.staff }
func blog(w *world) *Host  { return w.other }

// A host's own error is no finding on a shared connection, and content that two hosts have is either's.
func TestJudgeAlike(t *testing.T) {
	w := newWorld(t)
	w.two.Own[wire.H2].Plain = twice(page(404, "nothing here\n"))
	j := Judge(w.hosts(), []*Observation{observe(w.one, w.two, wire.H2, page(404, "nothing here\n"))}, h2)
	if j.Pairs[0].Outcome != Served || found(j) != "" {
		t.Errorf("%+v, %q", j.Pairs, found(j))
	}
	w.two.Own[wire.H2].Plain = w.one.Own[wire.H2].Plain
	j = Judge(w.hosts(), []*Observation{observe(w.one, w.two, wire.H2, page(200, "the first\n"))}, h2)
	if j.Pairs[0].Outcome != Served || j.Pairs[0].Content != OfBoth {
		t.Errorf("%+v", j.Pairs)
	}
}

// A server that compares names refuses both ways; a host that wants connections of its own is refused on others' alone.
func TestJudgeOverStrict(t *testing.T) {
	w := newWorld(t)
	misdirected := page(421, "", "cache-control", "no-store")
	j := Judge(w.hosts(), []*Observation{observe(w.one, w.two, wire.H2, misdirected), observe(w.two, w.one, wire.H2, misdirected)}, h2)
	if found(j) != "info over-strict, info over-strict" || j.Pairs[0].Outcome != TooStrict {
		t.Errorf("both ways: %q, %+v", found(j), j.Pairs)
	}
	j = Judge(w.hosts(), []*Observation{observe(w.one, w.two, wire.H2, misdirected), observe(w.two, w.one, wire.H2, page(200, "the first\n"))}, h2)
	if found(j) != "" || j.Pairs[0].Outcome != OwnOnly || j.Pairs[1].Outcome != Served {
		t.Errorf("one way: %q, %+v", found(j), j.Pairs)
	}
}

// Our certificate opens staff on its own connection: where it was shown, the content may be served; where not, it is a bypass.
func TestJudgeWithCertificate(t *testing.T) {
	w := newWorld(t)
	own := w.staff.Own[wire.H2]
	own.Shown = twice(page(200, "salaries\n"))
	x := observe(w.one, w.staff, wire.H2, page(200, "salaries\n"))
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "critical bypass" || !strings.Contains(j.Findings[0].Got, "the content of staff.test") {
		t.Errorf("%q, %+v", found(j), j.Findings)
	}
	x.Certificate, x.Replies[0].Facts.Shown = true, true
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "" || j.Pairs[0].Outcome != Served {
		t.Errorf("with the certificate: %q, %+v", found(j), j.Pairs)
	}
}

// The page that names get which nobody has is no content of a site behind client authentication: it is the wrong page.
func TestJudgeDefaultPage(t *testing.T) {
	w := newWorld(t)
	stranger := observe(w.one, w.two, wire.H2, page(200, "it works\n"))
	stranger.Check, stranger.Asks[0] = CheckParse, Ask{Kind: UnknownAuthority, Request: wire.Request{Authority: unknownName}}
	x := observe(w.one, w.staff, wire.H2, page(200, "it works\n"))
	if j := Judge(w.hosts(), []*Observation{x, stranger}, h2); found(j) != "high wrong-content, low uncovered" || j.Pairs[0].Outcome != Wrong {
		t.Errorf("%q, %+v", found(j), j.Pairs)
	}
	x = observe(w.one, w.staff, wire.H2, page(200, "salaries\n"))
	if j := Judge(w.hosts(), []*Observation{x, stranger}, h2); found(j) != "critical bypass, low uncovered" {
		t.Errorf("%q", found(j))
	}
	sni := observe(w.one, w.staff, wire.H2, page(200, "it works\n"))
	sni.Check, sni.Kind, sni.From = CheckSNI, NoSNI, nil
	if j := Judge(w.hosts(), []*Observation{sni, stranger}, h2); found(j) != "low uncovered" {
		t.Errorf("%q", found(j))
	}
}

func TestJudgeLoop(t *testing.T) {
	w := newWorld(t)
	w.one.Own[wire.H2].Plain = twice(page(421, ""))
	if j := Judge(w.hosts(), nil, h2); found(j) != "high loop" {
		t.Errorf("%q", found(j))
	}
	// A host whose own certificate is not good for it has no good connection of its own.
	w.one.Own[wire.H2].Facts.Chain = []*x509.Certificate{w.blog}
	if j := Judge(w.hosts(), nil, h2); found(j) != "" {
		t.Errorf("with another certificate: %q", found(j))
	}
}

// A host that is protected over HTTP/2 and open over HTTP/1.1.
func TestJudgeOwnProtocols(t *testing.T) {
	w := newWorld(t)
	both := Options{Protocols: []wire.Protocol{wire.H1, wire.H2}}
	w.staff.Own[wire.H1] = &Own{Address: here, Facts: wire.Facts{Chain: []*x509.Certificate{w.shared}}, Plain: twice(page(200, "salaries\n"))}
	if j := Judge(w.hosts(), nil, both); found(j) != "critical bypass" || j.Findings[0].Protocol != wire.H1 {
		t.Errorf("%q", found(j))
	}
	w.staff.Own[wire.H2].Shown = twice(page(200, "salaries\n"))
	if j := Judge(w.hosts(), nil, both); found(j) != "critical bypass" {
		t.Errorf("known content: %q", found(j))
	}
	w.staff.Own[wire.H1].Plain = twice(page(200, "please come with HTTP/2\n"))
	if j := Judge(w.hosts(), nil, both); found(j) != "" {
		t.Errorf("other content: %q", found(j))
	}
}

// A handshake that was not finished in time is no refusal, though a certificate was asked for: what another protocol serves is no bypass.
func TestJudgeSlowHandshake(t *testing.T) {
	w := newWorld(t)
	both := Options{Protocols: []wire.Protocol{wire.H1, wire.H2}}
	w.staff.Own[wire.H2].Plain, w.staff.Own[wire.H2].Failure = nil, wire.Timeout
	w.staff.Own[wire.H1] = &Own{Address: here, Facts: wire.Facts{Asked: true, Chain: []*x509.Certificate{w.shared}}, Plain: twice(page(200, "for all\n"))}
	if j := Judge(w.hosts(), nil, both); found(j) != "" || w.staff.Protected() {
		t.Errorf("%q, protected %v", found(j), w.staff.Protected())
	}
}

func TestJudgeResumption(t *testing.T) {
	w := newWorld(t)
	resumed := func(a, b *Host, version uint16, answer wire.Answer) *Observation {
		x := observe(a, b, wire.H2, answer)
		x.Check, x.Session, x.From, x.ServerName = CheckResume, a, b, b.SNI()
		x.Replies[0].Facts.Resumed, x.Replies[0].Facts.Version = true, version
		return x
	}
	for _, test := range []struct {
		name string
		x    *Observation
		want string
	}{
		{"into a site behind client authentication", resumed(w.one, w.staff, tls.VersionTLS13, page(200, "salaries\n")), "critical bypass"},
		{"refused there", resumed(w.one, w.staff, tls.VersionTLS13, page(421, "")), ""},
		{"403 there", resumed(w.one, w.staff, tls.VersionTLS13, page(403, "no\n")), ""},
		{"the other's page there", resumed(w.one, w.staff, tls.VersionTLS13, page(200, "the first\n")), ""},
		{"TLS 1.2 under a name that was never shown", resumed(w.one, w.other, tls.VersionTLS12, page(200, "the blog\n")), "low uncovered"},
		{"TLS 1.3, where the client minds the name", resumed(w.one, w.other, tls.VersionTLS13, page(200, "the blog\n")), ""},
		{"TLS 1.2 for an address, without any name", resumed(w.one, host(t, "192.0.2.7", w.blog, twice(page(200, "the address\n"))), tls.VersionTLS12, page(200, "the address\n")), ""},
		{"TLS 1.2 under a covered name", resumed(w.one, w.two, tls.VersionTLS12, page(200, "the second\n")), ""},
	} {
		if got := found(Judge(w.hosts(), []*Observation{test.x}, h2)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		test.x.Replies[0].Facts.Resumed = false
		if got := found(Judge(w.hosts(), []*Observation{test.x}, h2)); got != "" {
			t.Errorf("%s, but a full handshake: %q", test.name, got)
		}
	}
}

func TestJudgeSNI(t *testing.T) {
	w := newWorld(t)
	odd := func(kind Kind, from, b *Host, answer wire.Answer) *Observation {
		x := observe(w.one, b, wire.H2, answer)
		x.Check, x.Kind, x.From = CheckSNI, kind, from
		return x
	}
	failed := odd(UpperSNI, w.one, w.one, wire.Answer{})
	failed.Failure, failed.Detail = wire.Alert, "unrecognized_name"
	silent := &Observation{Step: &Step{Check: CheckSNI, Kind: AddressSNI, Protocol: wire.H2, Address: here, ServerName: "192.0.2.1"}, Failure: wire.Timeout}
	for _, test := range []struct {
		name string
		x    *Observation
		want string
	}{
		{"no SNI opens staff", odd(NoSNI, nil, w.staff, page(200, "salaries\n")), "critical bypass"},
		{"no SNI, the default site", odd(NoSNI, nil, w.staff, page(200, "the first\n")), ""},
		{"no SNI, 421", odd(NoSNI, nil, w.staff, page(421, "")), ""},
		{"upper case opens staff", odd(UpperSNI, w.staff, w.staff, page(200, "salaries\n")), "critical bypass"},
		{"upper case, its own page", odd(UpperSNI, w.one, w.one, page(200, "the first\n")), ""},
		{"upper case, another page", odd(UpperSNI, w.one, w.one, page(404, "nothing\n")), "low parse"},
		{"upper case, no handshake", failed, "low parse"},
		{"an address and silence", silent, "info parse"},
	} {
		if got := found(Judge(w.hosts(), []*Observation{test.x}, h2)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestJudgeParse(t *testing.T) {
	for _, test := range []struct {
		kind   Kind
		proto  wire.Protocol
		host   func(*world) *Host // nil: nobody
		answer wire.Answer
		want   string
	}{
		{UnknownAuthority, wire.H2, nil, page(200, "the first\n"), "low uncovered"},
		{UnknownAuthority, wire.H2, nil, page(421, ""), ""},
		{UnknownAuthority, wire.H2, nil, page(404, ""), ""},
		{UnknownAuthority, wire.H2, nil, page(301, "", "location", "https://one.test/"), ""},
		{ForeignPort, wire.H2, one, page(200, "the first\n"), "info parse"},
		{ForeignPort, wire.H2, one, page(421, ""), ""},
		{TrailingDot, wire.H2, one, page(200, "the first\n"), ""},
		{TrailingDot, wire.H2, one, page(200, "another page altogether\n"), "low parse"},
		{TrailingDot, wire.H2, one, page(421, ""), ""},
		{Userinfo, wire.H1, one, page(200, "the first\n"), "low parse"},
		{Userinfo, wire.H1, one, page(400, ""), ""},
		{EmptyHost, wire.H1, one, page(200, "the first\n"), "low parse"},
		{EmptyHost, wire.H2, one, wire.Answer{Failure: wire.Reset}, ""},
		{MissingHost, wire.H1, one, page(200, "the first\n"), "medium parse"},
		{MissingHost, wire.H1, one, page(301, "", "location", "/x"), "medium parse"},
		{MissingHost, wire.H1, one, page(400, ""), ""},
		{MissingHost, wire.H2, one, page(200, "the first\n"), "low parse"},
		{TwoHosts, wire.H1, two, page(200, "the first\n"), "medium parse"},
		{TwoHosts, wire.H1, two, page(400, ""), ""},
		{TwoHosts, wire.H1, staff, page(200, "salaries\n"), "critical bypass"},
		{HostConflict, wire.H2, two, page(200, "the first\n"), "low parse"},
		{HostConflict, wire.H2, two, page(200, "the second\n"), "medium parse"},
		{HostConflict, wire.H2, two, wire.Answer{Failure: wire.Reset}, ""},
		{HostConflict, wire.H2, staff, page(200, "salaries\n"), "critical bypass"},
		{HostConflict, wire.H2, nil, page(200, "the first\n"), "low parse"},
		{AbsoluteForm, wire.H1, two, page(200, "the first\n"), "medium parse"},
		{AbsoluteForm, wire.H1, two, page(200, "the second\n"), ""},
		{AbsoluteForm, wire.H1, two, page(421, ""), ""},
		{AbsoluteForm, wire.H1, staff, page(200, "salaries\n"), "critical bypass"},
		{AbsoluteForm, wire.H1, nil, page(200, "the first\n"), "medium parse"},
		{HTTPInside, wire.H2, one, page(200, "the first\n"), "info parse"},
		{HTTPInside, wire.H2, one, page(308, "", "location", "https://one.test/"), ""},
		{OptionsStar, wire.H2, one, page(500, ""), "info parse"},
		{OptionsStar, wire.H2, one, page(501, ""), ""},
		{OptionsStar, wire.H2, one, page(200, ""), ""},
		{OptionsStar, wire.H2, one, wire.Answer{Failure: wire.Closed}, "info parse"},
	} {
		w := newWorld(t)
		x := observe(w.one, w.two, test.proto, test.answer)
		x.Check = CheckParse
		x.Asks[0] = Ask{Kind: test.kind, Request: wire.Request{Authority: "x"}}
		if test.host != nil {
			x.Asks[0].Host = test.host(w)
		}
		if got := found(Judge(w.hosts(), []*Observation{x}, h2)); got != test.want {
			t.Errorf("%s over %s, %d %s: %q, want %q", test.kind, test.proto, test.answer.Status, test.answer.Body, got, test.want)
		}
	}
}

// A server that has gone away does not answer OPTIONS * either: that is no fault of OPTIONS *.
func TestJudgeGone(t *testing.T) {
	gone := wire.Answer{Failure: wire.Closed, Detail: "connection closed", Closed: true}
	for before, want := range map[*wire.Answer]string{ptr(gone): "", ptr(page(421, "", "cache-control", "no-store")): "info parse"} {
		w := newWorld(t)
		x := observe(w.one, w.one, wire.H2, *before)
		x.Check, x.Asks[0].Kind = CheckParse, HTTPInside
		x.Asks = append(x.Asks, Ask{Kind: OptionsStar, Host: w.one})
		x.Replies = append(x.Replies, Reply{Answer: gone})
		if got := found(Judge(w.hosts(), []*Observation{x}, h2)); got != want {
			t.Errorf("%d %s before: %q, want %q", before.Status, before.Failure, got, want)
		}
	}
}

// Where two hosts are named and the one is nobody's, the finding is about the other.
func TestJudgeTwoHosts(t *testing.T) {
	w := newWorld(t)
	x := observe(w.one, w.one, wire.H1, page(200, "the first\n"))
	x.Check, x.Asks[0] = CheckParse, Ask{Kind: TwoHosts, Request: wire.Request{Hosts: []string{"one.test", unknownName}}}
	if j := Judge(w.hosts(), []*Observation{x}, h2); found(j) != "medium parse" || j.Findings[0].Host != "one.test" {
		t.Errorf("%+v", j.Findings)
	}
}

func TestJudgeHygiene(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer wire.Answer
		after  *wire.Answer
		want   string
	}{
		{"as it should be", page(421, "", "cache-control", "no-store"), nil, ""},
		{"no Cache-Control", page(421, ""), nil, "info storable"},
		{"explicit freshness", page(421, "", "cache-control", "public, max-age=60"), nil, "low storable"},
		{"no freshness", page(421, "", "cache-control", "max-age=0"), nil, ""},
		{"Expires", page(421, "", "expires", "Thu, 01 Jan 2099 00:00:00 GMT"), nil, "low storable"},
		{"Alt-Svc", page(421, "", "cache-control", "no-store", "alt-svc", `h3=":443"`), nil, "low alt-svc"},
		{"a version", page(421, "", "cache-control", "no-store", "server", "Apache/2.4.57 (Debian)"), nil, "info version"},
		{"a version in the page", page(421, "<hr>nginx/1.22.1", "cache-control", "no-store"), nil, "info version"},
		{"another host", page(421, "try BLOG.test", "cache-control", "no-store"), nil, "low names"},
		{"the host itself", page(421, "not two.test here", "cache-control", "no-store"), nil, ""},
		{"usable afterwards", page(421, "", "cache-control", "no-store"), ptr(page(200, "the first\n")), ""},
		{"closed afterwards", page(421, "", "cache-control", "no-store"), &wire.Answer{Failure: wire.Closed}, "low unusable"},
		{"421 afterwards", page(421, "", "cache-control", "no-store"), ptr(page(421, "")), "low unusable"},
	} {
		w := newWorld(t)
		x := observe(w.one, w.two, wire.H2, test.answer)
		x.Replies[0].After = test.after
		var list []string
		for _, f := range Judge(w.hosts(), []*Observation{x}, h2).Findings {
			list = append(list, fmt.Sprintf("%s %s", f.Severity, f.Kind))
		}
		if got := strings.Join(list, ", "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestJudgeOrigin(t *testing.T) {
	w := newWorld(t)
	x := observe(w.one, w.two, wire.H2, page(421, "", "cache-control", "no-store"))
	x.Asks[0].Reasons = append(x.Asks[0].Reasons, ByOriginSet)
	if got := found(Judge(w.hosts(), []*Observation{x}, h2)); got != "medium origin" {
		t.Errorf("listed and refused: %q", got)
	}
	for want, set := range map[string]*OriginSet{"medium origin": {Error: "truncated"}, "low origin": {Bad: 1}, "info origin": {Ignored: 1}, "": {Origins: []authority.Origin{}}} {
		w.one.Own[wire.H2].Origins = set
		if got := found(Judge(w.hosts(), nil, h2)); got != want {
			t.Errorf("%+v: %q, want %q", set, got, want)
		}
	}
}

// The same observations make the same findings, whose texts are complete and without control characters.
func TestFindingsAreComplete(t *testing.T) {
	w := newWorld(t)
	evil := page(421, "\x1b[2J", "server", "evil/1.0\x1b]0;x")
	j := Judge(w.hosts(), []*Observation{observe(w.one, w.staff, wire.H2, page(200, "salaries\n")), observe(w.one, w.two, wire.H2, page(404, "")), observe(w.one, w.other, wire.H2, evil)}, h2)
	keys := map[string]bool{}
	for _, f := range j.Findings {
		for _, text := range []string{f.Sent, f.Got, f.Why, f.RFC, f.Cure, f.Key, f.Host, f.Connection} {
			if text == "" || strings.ContainsAny(text, "\x1b\n") {
				t.Errorf("%s: %q", f.ID, text)
			}
		}
		if keys[f.Key] {
			t.Errorf("%s twice", f.Key)
		}
		keys[f.Key] = true
	}
	if !slices.IsSortedFunc(j.Findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) }) {
		t.Error("not the worst first")
	}
}

// What servers say goes to terminals.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "a\x1b[2Jb\r\n": "a.[2Jb..", "\u202eevil\u009b": ".evil.", "b\xffad": "b.ad", "grüße": "grüße"} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What a finding says was sent, and the command that shows it, are what the run asked: its path and method.
func TestFindingsSayPath(t *testing.T) {
	w := newWorld(t)
	o := h2
	o.Path, o.Head = "/a?b=1&c='2'", true
	f := Judge(w.hosts(), []*Observation{observe(w.one, w.two, wire.H2, page(404, ""))}, o).Findings[0]
	if want := "HEAD https://two.test/a?b=1&c='2' on "; !strings.HasPrefix(f.Sent, want) {
		t.Errorf("sent %q, want %q", f.Sent, want)
	}
	if want := `curl -sIk --http2 --connect-to ::192.0.2.1:443 -H 'Host: two.test' 'https://one.test/a?b=1&c='\''2'\'''`; f.Try != want {
		t.Errorf("try %s\nwant %s", f.Try, want)
	}
}

// What may be the content of a protected site, and may be another page that changes, is unsure wherever it was asked for.
func TestJudgeDoubt(t *testing.T) {
	text := strings.Repeat("the same words for each site, over and over; ", 3)
	odd := func(w *world) *Observation {
		return observe(w.one, w.staff, wire.H2, page(200, text+"salaries, as they were paid in all months of last year"))
	}
	for name, test := range map[string]struct {
		change     func(*world, *Observation)
		connection string
	}{
		"no SNI": {func(w *world, x *Observation) { x.Check, x.Kind, x.From = CheckSNI, NoSNI, nil }, "nobody (no sni)"},
		"a session": {func(w *world, x *Observation) {
			x.Check, x.Session, x.From = CheckResume, w.one, w.staff
			x.Replies[0].Facts.Resumed = true
		}, "a session of one.test"},
		"two hosts": {func(w *world, x *Observation) { x.Check, x.Asks[0].Kind = CheckParse, TwoHosts }, "one.test (two hosts)"},
		"reuse":     {func(*world, *Observation) {}, "one.test"},
	} {
		w := newWorld(t)
		w.one.Own[wire.H2].Plain = Baseline{page(200, text+"one at noon"), page(200, text+"one at midnight")}
		x := odd(w)
		test.change(w, x)
		j := Judge(w.hosts(), []*Observation{x}, h2)
		if strings.Contains(found(j), "bypass") || len(j.Pairs) != 1 || j.Pairs[0].Outcome != CannotTell || j.Pairs[0].Connection != test.connection {
			t.Errorf("%s: %q, %+v", name, found(j), j.Pairs)
		}
		// Certainty leaves no doubt.
		w = newWorld(t)
		x = odd(w)
		x.Replies[0].Answer = page(421, "", "cache-control", "no-store")
		test.change(w, x)
		if j := Judge(w.hosts(), []*Observation{x}, h2); len(j.Findings) > 0 || len(j.Pairs) > 1 || len(j.Pairs) == 1 && j.Pairs[0].Outcome != Refused {
			t.Errorf("%s, refused: %q, %+v", name, found(j), j.Pairs)
		}
	}
}

// The server is known by its Server field: that of the answer, else of the hosts' own answers, those with our certificate included.
func TestServerOf(t *testing.T) {
	for field, want := range map[string]string{
		"nginx/1.22.1": "nginx", "openresty": "nginx", "Apache": "apache", "Apache/2.4.71 (Debian) OpenSSL/3.0.22": "apache", "Caddy": "caddy",
		"Apache-Coyote/1.1": "", "Apache Tomcat/9.0": "", "ATS/9.2.9": "", "h2o/2.2.5": "", "": "",
	} {
		w := newWorld(t)
		a := page(200, "", "server", field)
		if got := serverOf(&evidence{reply: &a}); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
		w.staff.Own[wire.H2].Shown = twice(a)
		if got := serverOf(&evidence{from: w.staff, reply: &wire.Answer{}}); got != want {
			t.Errorf("%q with our certificate: %q, want %q", field, got, want)
		}
	}
}
