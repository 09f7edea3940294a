package probe

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/probe/wire"
)

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
