package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/probe/wire"
)

// planned writes the steps of a check as "from>host from>host".
func planned(steps []*Step, check Check) string {
	var list []string
	for _, s := range steps {
		if s.Check != check {
			continue
		}
		for _, a := range s.Asks {
			from := string(s.Kind)
			if s.From != nil {
				from += s.From.Host()
			}
			if s.Session != nil {
				from = fmt.Sprintf("%s(%x)", s.Session.Host(), s.Version)
			}
			text := from + ">" + nameOf(a.Host)
			if a.Coalescible {
				text += "!"
			}
			list = append(list, text)
		}
	}
	return strings.ReplaceAll(strings.Join(list, " "), ".test", "")
}

func TestPlan(t *testing.T) {
	w := newWorld(t)
	steps := Plan(w.hosts(), h2)
	// Shared connections, whoever is behind client authentication, and one of each certificate for another.
	if got, want := planned(steps, CheckReuse), "one>two! one>staff! one>blog two>one! two>staff! blog>one blog>staff"; got != want {
		t.Errorf("reuse: %s, want %s", got, want)
	}
	if got, want := planned(steps, CheckResume), "one(303)>staff! one(304)>staff! one(303)>blog two(303)>staff! two(304)>staff! blog(303)>one blog(303)>staff blog(304)>staff"; got != want {
		t.Errorf("resume: %s, want %s", got, want)
	}
	if got, want := planned(steps, CheckSNI), "no-sni>staff unknown-sni>staff upper-case-snione>one upper-case-snitwo>two upper-case-snistaff>staff upper-case-sniblog>blog"; got != want {
		t.Errorf("sni: %s, want %s", got, want)
	}
	if n := len(slices.DeleteFunc(slices.Clone(steps), func(s *Step) bool { return s.Check != CheckParse })); n != 1 {
		t.Errorf("%d steps of malformed requests for one address", n)
	}
	for _, s := range steps {
		for _, a := range s.Asks {
			if a.Kind == HostConflict && a.Host != w.staff {
				t.Error("an ambiguous request does not name the host behind client authentication")
			}
		}
	}
}

// A host elsewhere is not asked for here, unless an ORIGIN set lists it.
func TestPlanElsewhere(t *testing.T) {
	w := newWorld(t)
	w.two.Addresses[0] = at2
	w.two.Own[wire.H2].Address = at2
	hosts := []*Host{w.one, w.two}
	if got := planned(Plan(hosts, h2), CheckReuse); got != "" {
		t.Errorf("reuse: %s", got)
	}
	w.one.Own[wire.H2].Origins = &OriginSet{Origins: []authority.Origin{
		authority.NewOrigin(authority.HTTPS, w.two.Authority), authority.NewOrigin(authority.HTTPS, authority.MustParse("third.test"))}}
	steps := Plan(hosts, h2)
	if got := planned(steps, CheckReuse); got != "one>two!" {
		t.Errorf("reuse: %s", got)
	}
	if got := planned(steps, CheckOrigin); got != "one>" {
		t.Errorf("origin: %s", got)
	}
}

var at2 = mustAddr("192.0.2.2:443")

// Who cannot be reached is not asked for; over HTTP/1.1 nothing is shared; pairs have a limit.
func TestPlanLimits(t *testing.T) {
	w := newWorld(t)
	w.two.Own[wire.H2].Failure = wire.Refused
	if got := planned(Plan(w.hosts(), h2), CheckReuse); strings.Contains(got, "two") {
		t.Errorf("unreachable: %s", got)
	}
	w = newWorld(t)
	w.two.Own[wire.H2].Plain = Baseline{{Failure: wire.Timeout}, {Failure: wire.Timeout}}
	if got := planned(Plan(w.hosts(), h2), CheckReuse); strings.Contains(got, "two") {
		t.Errorf("silent: %s", got)
	}
	w = newWorld(t)
	for _, h := range w.hosts() {
		h.Own[wire.H1] = h.Own[wire.H2]
		delete(h.Own, wire.H2)
	}
	if got := planned(Plan(w.hosts(), Options{Protocols: []wire.Protocol{wire.H1}}), CheckReuse); strings.Contains(got, "!") || got == "" {
		t.Errorf("HTTP/1.1: %s", got)
	}
	w = newWorld(t)
	if got := planned(Plan(w.hosts(), Options{Protocols: h2.Protocols, MaxPairs: 2}), CheckReuse); got != "one>two! one>staff!" {
		t.Errorf("two pairs: %s", got)
	}
}

// With our certificate the connections of staff are tried, too.
func TestPlanWithCertificate(t *testing.T) {
	w := newWorld(t)
	w.staff.Own[wire.H2].Shown = twice(page(200, "salaries\n"))
	if got := planned(Plan(w.hosts(), h2), CheckReuse); !strings.Contains(got, "staff>one!") || !strings.Contains(got, "staff>two!") {
		t.Errorf("reuse: %s", got)
	}
}

// Where it is not clear for want of what a host refuses, somebody who is open is asked for on its connections, over every protocol.
func TestPlanWall(t *testing.T) {
	w := newWorld(t)
	for _, h := range []*Host{w.two, w.staff} {
		h.Own[wire.H2].Facts.Asked, h.Own[wire.H2].Plain = true, twice(page(401, ""))
	}
	for _, h := range w.hosts() {
		h.Own[wire.H1] = h.Own[wire.H2]
		delete(h.Own, wire.H2)
	}
	got := planned(Plan(w.hosts(), Options{Protocols: []wire.Protocol{wire.H1}}), CheckReuse)
	if !strings.Contains(got, "two>one") || !strings.Contains(got, "staff>one") || strings.Contains(got, "staff>blog") {
		t.Errorf("reuse: %s", got)
	}
}

// Where every host wants a certificate, malformed requests go out with ours: what they open then is no bypass.
func TestPlanAllWithCertificate(t *testing.T) {
	w := newWorld(t)
	copied := *w.staff.Own[wire.H2]
	w.one.Own[wire.H2] = &copied
	hosts := []*Host{w.one, w.staff}
	if got := planned(Plan(hosts, h2), CheckParse); got != "" {
		t.Errorf("without a certificate: %s", got)
	}
	w.one.Own[wire.H2].Shown, w.staff.Own[wire.H2].Shown = twice(page(200, "the first\n")), twice(page(200, "salaries\n"))
	steps := slices.DeleteFunc(Plan(hosts, h2), func(s *Step) bool { return s.Check != CheckParse })
	if len(steps) != 1 || !steps[0].Certificate {
		t.Fatalf("%+v", steps)
	}
	x := &Observation{Step: steps[0], Replies: make([]Reply, len(steps[0].Asks))}
	for i := range x.Replies {
		x.Replies[i] = Reply{Answer: page(200, "salaries\n"), Facts: wire.Facts{Asked: true, Shown: true, Chain: w.one.Own[wire.H2].Facts.Chain}}
	}
	j := Judge(hosts, []*Observation{x}, h2)
	if got := found(j); strings.Contains(got, "bypass") || !strings.Contains(got, "parse") || !strings.Contains(j.Findings[0].Sent, "with our client certificate") {
		t.Errorf("%q, %+v", got, j.Findings[0])
	}
}
