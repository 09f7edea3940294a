package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// sample is a report with something of everything, and names that try to break out of whatever they are written into.
func sample() *probe.Report {
	certificate := &probe.Certificate{SHA256: "aa", Names: []string{"one.test", "<b>two.test</b>"}, NotAfter: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC), Problem: "x509: unknown authority"}
	host := func(name string, c *probe.Certificate) probe.HostReport {
		return probe.HostReport{Name: name, Addresses: []string{"192.0.2.1:443"}, Certificate: c, ClientAuth: probe.AuthNone,
			Protocols: []probe.ProtocolReport{{Protocol: wire.H2, Address: "192.0.2.1:443", TLS: "TLS 1.3", ClientAuth: probe.AuthNone, Status: 200}}}
	}
	staff := host("staff.test", certificate)
	staff.ClientAuth = probe.AuthRequired
	staff.Protocols[0].Status, staff.Protocols[0].Failure, staff.Protocols[0].StatusWith = 0, wire.Alert, 200
	pair := func(a, b string, p wire.Protocol, status int, outcome probe.Outcome) probe.Pair {
		return probe.Pair{Connection: a, Host: b, Protocol: p, Address: "192.0.2.1:443", Covered: true, Coalescible: p != wire.H1, Reasons: []string{probe.ByAddress}, Status: status, Outcome: outcome, Content: probe.OfHost}
	}
	finding := func(id probe.ID, severity probe.Severity, p wire.Protocol, a, b string) probe.Finding {
		return probe.Finding{ID: id, Severity: severity, Check: probe.CheckReuse, Kind: probe.Plain, Protocol: p, Address: "192.0.2.1:443", Connection: a, Host: b,
			Sent: "GET https://" + b + "/", Got: "200, 5 bytes </script><script>alert(1)</script>", Why: "because", RFC: "RFC 9110 section 7.4", Cure: "mend it",
			Server: "nginx", Snippet: "return 421;", Try: "curl x", Key: fmt.Sprint(id, p, a, b)}
	}
	r := &probe.Report{
		Hosts: []probe.HostReport{host("one.test", certificate), host("<b>two.test</b>", certificate), staff,
			{Name: "gone.test", Addresses: []string{}, Protocols: []probe.ProtocolReport{}, ClientAuth: probe.AuthNone, Unreachable: "refused: connection refused"}},
		Pairs: []probe.Pair{pair("one.test", "<b>two.test</b>", wire.H2, 200, probe.Served), pair("<b>two.test</b>", "one.test", wire.H2, 421, probe.TooStrict),
			pair("one.test", "staff.test", wire.H2, 200, probe.Open), pair("one.test", "staff.test", wire.H1, 200, probe.Open)},
		Findings: []probe.Finding{finding(probe.Bypass, probe.Critical, wire.H2, "one.test", "staff.test"), finding(probe.Bypass, probe.Critical, wire.H1, "one.test", "staff.test"),
			finding(probe.OverStrict, probe.Info, wire.H2, "<b>two.test</b>", "one.test")},
	}
	r.Count()
	return r
}

func TestJSONIsReadBack(t *testing.T) {
	var b bytes.Buffer
	want := sample()
	if err := JSON(&b, want); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		var v struct{ Type, ID string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type == "" || (v.Type == "finding") != (v.ID != "") {
			t.Errorf("%v: %s", err, line)
		}
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestReadRefuses(t *testing.T) {
	summary := `{"type":"summary"}` + "\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "no summary"},
		{"half a report", `{"type":"host","name":"a"}` + "\n", "no summary"},
		{"no JSON", "hello\n" + summary, "line 1"},
		{"no type", "{}\n" + summary, "line 1: it has no type"},
		{"a wrong severity", `{"type":"finding","severity":"dreadful"}` + "\n" + summary, "dreadful"},
	} {
		if _, err := Read(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if r, err := Read(strings.NewReader(`{"type":"later","x":1}` + "\n\n" + summary)); err != nil || len(r.Hosts) != 0 {
		t.Errorf("a line of a later version: %v", err)
	}
}

func TestText(t *testing.T) {
	for _, width := range []int{60, 80, 120} {
		var b bytes.Buffer
		if err := Text(&b, sample(), Style{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimRight(line, "\n")
			if len(line) > width || line != strings.TrimRight(line, " ") || strings.Contains(line, "\x1b") {
				t.Errorf("width %d: %q", width, line)
			}
		}
		flat := strings.Join(strings.Fields(b.String()), " ")
		for _, want := range []string{"staff.test required - alert, with cert. 200 -", "gone.test: refused: connection refused", "critical bypass staff.test",
			"seen 2 times: over HTTP/2, HTTP/1.1, on connections for one.test", "clients refuse it: x509: unknown authority", "nginx: | return 421;", "nginx: the lines above", "try curl x",
			"4 hosts, 4 answers on shared connections, 3 findings (2 critical, 1 info); 1 host not reached."} {
			if !strings.Contains(flat, want) && (width >= 80 || !strings.Contains(want, "with cert.")) { // a cell may wrap
				t.Errorf("width %d: no %q in\n%s", width, want, b.String())
			}
		}
	}
	var b bytes.Buffer
	if err := Text(&b, sample(), Style{Colours: true}); err != nil || !strings.Contains(b.String(), "\x1b[1;31mcritical bypass\x1b[0m") {
		t.Errorf("no colours: %v\n%s", err, b.String())
	}
}

// Where every host wants a client certificate and got none, that is said, and what to do: "no finding" would be a false comfort.
func TestTextClosed(t *testing.T) {
	refusal := "nothing but refusals for want of a client certificate was seen"
	for _, test := range []struct {
		auth          probe.ClientAuth
		with          int
		refused, hint bool
	}{{probe.AuthRequired, 0, true, true}, {probe.AuthUnclear, 401, true, true}, {probe.AuthRequired, 200, false, false}, {probe.AuthOptional, 0, false, false}} {
		r := sample()
		r.Hosts, r.Pairs, r.Findings = r.Hosts[2:3], nil, nil
		r.Hosts[0].ClientAuth, r.Hosts[0].Protocols[0].StatusWith = test.auth, test.with
		r.Count()
		var b bytes.Buffer
		if err := Text(&b, r, Style{Width: 400}); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if strings.Contains(text, refusal) != test.refused || strings.Contains(text, "no finding") == test.refused || strings.Contains(text, "hint: --cert") != test.hint {
			t.Errorf("%s, with %d:\n%s", test.auth, test.with, text)
		}
	}
}

// Signs lie over all arcs: where many arcs meet, those that are drawn later would hide the signs of the others.
func TestSignsLieOverArcs(t *testing.T) {
	var b bytes.Buffer
	if err := HTML(&b, sample(), time.Now(), "v1"); err != nil {
		t.Fatal(err)
	}
	if first, last := strings.Index(b.String(), `<text class="sign `), strings.LastIndex(b.String(), "<path "); first < last || last < 0 {
		t.Errorf("the first sign is at %d, the last arc at %d", first, last)
	}
}

// Where nobody was reached there are no hosts by certificate.
func TestTextNobody(t *testing.T) {
	r := sample()
	r.Hosts, r.Pairs, r.Findings = r.Hosts[3:], nil, nil
	r.Count()
	var b bytes.Buffer
	if err := Text(&b, r, Style{}); err != nil || !strings.HasPrefix(b.String(), "Not reached\n  gone.test: refused") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestKindWords(t *testing.T) {
	for kind, want := range map[probe.Kind]string{probe.NoSNI: "no SNI", probe.HTTPInside: "HTTP inside TLS", probe.AltSvc: "Alt-Svc", probe.OptionsStar: "OPTIONS star",
		probe.AddressSNI: "IP literal SNI", probe.HostConflict: "host against authority"} {
		if got := kindWords(kind); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

// Servers that do not name themselves get cures in words: that there are lines for them, too, is said.
func TestTextServerHint(t *testing.T) {
	for _, test := range []struct {
		finding, host string
		want          bool
	}{{"", "", true}, {"nginx", "", false}, {"", "h2o/2.2.5", false}} {
		r := sample()
		for i := range r.Findings {
			r.Findings[i].Server = test.finding
		}
		r.Hosts[0].Server = test.host
		var b bytes.Buffer
		if err := Text(&b, r, Style{}); err != nil || strings.Contains(b.String(), "--server haproxy") != test.want {
			t.Errorf("%+v: %v\n%s", test, err, b.String())
		}
	}
}

func TestCommonPort(t *testing.T) {
	for want, names := range map[string][]string{":8443": {"a.test:8443", "b.test:8443"}, "": {"a.test:8443", "b.test"}, ":1": {"[::1]:1"}} {
		r := new(probe.Report)
		for _, name := range names {
			r.Hosts = append(r.Hosts, probe.HostReport{Name: name})
		}
		if got := commonPort(r); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
	if got := commonPort(&probe.Report{Hosts: []probe.HostReport{{Name: "[::1]"}}}); got != "" {
		t.Errorf("an address without a port: %q", got)
	}
}

func TestJUnit(t *testing.T) {
	for _, test := range []struct {
		least    probe.Severity
		fails    bool
		failures int
	}{{probe.Low, true, 2}, {probe.Info, true, 3}, {probe.Info, false, 0}} {
		var b bytes.Buffer
		if err := JUnit(&b, sample(), test.least, test.fails); err != nil {
			t.Fatal(err)
		}
		var got junitSuites
		if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Tests != 4+1+3 || got.Failures != test.failures || got.Errors != 1 || len(got.Suites) != 3 {
			t.Errorf("%d tests, %d failures, %d errors", got.Tests, got.Failures, got.Errors)
		}
	}
}

func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := SARIF(&b, sample(), "v1"); err != nil {
		t.Fatal(err)
	}
	var got sarifLog
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	run := got.Runs[0]
	if got.Version != "2.1.0" || len(run.Results) != 3 || len(run.Tool.Driver.Rules) != len(probe.IDs()) {
		t.Fatalf("%+v", got)
	}
	prints := map[string]bool{}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || r.Message.Text == "" || len(r.Locations) != 1 {
			t.Errorf("%+v", r)
		}
		prints[r.Fingerprints["usherProbe/v1"]] = true
	}
	if len(prints) != 3 || run.Results[0].Level != "error" || run.Results[2].Level != "note" {
		t.Errorf("%d fingerprints, levels %s and %s", len(prints), run.Results[0].Level, run.Results[2].Level)
	}
	for _, rule := range run.Tool.Driver.Rules {
		if rule.ShortDescription.Text == "" {
			t.Errorf("%s has no description", rule.ID)
		}
	}
}

var reference = regexp.MustCompile(`(?i)\b(src|href|action|srcset|poster)\s*=|url\(|@import|<(?:img|iframe|object|embed|base)\b`)

// The page loads nothing from anywhere, and what servers say is text in it.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := HTML(&b, sample(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "v1"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if refs := reference.FindAllString(text, -1); len(refs) != 1 || !strings.Contains(text, `<link rel="icon" href="data:,">`) {
		t.Errorf("references %q", refs)
	}
	if strings.Count(text, "<script>") != 1 || strings.Contains(text, "<b>two.test") || !strings.Contains(text, "&lt;b&gt;two.test") {
		t.Error("a name is markup")
	}
	for _, want := range []string{"2026-01-02 03:04 UTC", `class="arc served"`, `class="arc bypass"`, `class="arc over-strict"`, ">BYPASS<", "not reached", "gone.test", "staff.test on a connection for one.test (HTTP/2, HTTP/1.1): 200, BYPASS"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(text, `class="arc `); n != 3 {
		t.Errorf("%d arcs", n)
	}
}

// A map of very many hosts is still a map.
func TestChartIsBounded(t *testing.T) {
	r := new(probe.Report)
	for i := range 400 {
		r.Hosts = append(r.Hosts, probe.HostReport{Name: fmt.Sprintf("h%d.test", i), Addresses: []string{"192.0.2.1:443"}, Certificate: &probe.Certificate{SHA256: "aa", Names: []string{"*.test"}}})
	}
	for i := range 400 {
		for j := range 20 {
			r.Pairs = append(r.Pairs, probe.Pair{Connection: r.Hosts[i].Name, Host: r.Hosts[j].Name, Protocol: wire.H2, Coalescible: true, Outcome: probe.Served})
		}
	}
	r.Pairs = append(r.Pairs, probe.Pair{Connection: "h100.test", Host: "h101.test", Protocol: wire.H2, Outcome: probe.Open})
	c := newChart(r)
	if len(c.Hosts) != mostDrawn || len(c.Arcs) != mostArcs || c.Left == 0 || c.Arcs[0].Class != string(probe.Open) {
		t.Errorf("%d hosts, %d arcs, %d left, first %s", len(c.Hosts), len(c.Arcs), c.Left, c.Arcs[0].Class)
	}
}

func TestWithoutBaseline(t *testing.T) {
	r, baseline := sample(), sample()
	baseline.Findings = baseline.Findings[:1]
	Without(r, baseline)
	if r.Summary.Known != 1 || len(r.Findings) != 2 || r.Summary.Findings != 2 || r.Summary.BySeverity["critical"] != 1 {
		t.Errorf("%+v", r.Summary)
	}
}

func TestCompare(t *testing.T) {
	old, fresh := sample(), sample()
	old.Findings = old.Findings[:2]
	fresh.Findings = fresh.Findings[1:]
	c := Compare(old, fresh)
	if len(c.New) != 1 || c.New[0].ID != probe.OverStrict || len(c.Gone) != 1 || len(c.Still) != 1 {
		t.Fatalf("%+v", c)
	}
	var b bytes.Buffer
	if err := c.Text(&b, Style{Width: 80}); err != nil || !strings.Contains(b.String(), "1 new, 1 gone, 1 as before.") || !strings.Contains(b.String(), "Gone\n\n  critical bypass  staff.test\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := c.JSON(&b); err != nil || !strings.HasSuffix(b.String(), `{"type":"comparison","new":1,"gone":1,"still":1}`+"\n") || strings.Count(b.String(), `"change":"gone"`) != 1 {
		t.Errorf("%v\n%s", err, b.String())
	}
	// Nobody was asked: nothing is gone.
	fresh.Hosts[0].Unreachable = "timeout"
	if c := Compare(old, fresh); len(c.Gone) != 0 || len(c.Still) != 2 {
		t.Errorf("of a host that was not reached: %+v", c)
	}
}
