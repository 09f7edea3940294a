package probe

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

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
