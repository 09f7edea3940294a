package authority

import (
	"fmt"
	"strings"
)

// Outcome is how one question of the decision ended.
type Outcome string

const (
	Passed   Outcome = "passed"
	Refused  Outcome = "refused"
	Waived   Outcome = "waived" // failed, and not held against the request
	NotAsked Outcome = "not asked"
)

// A Step is one question of the decision and its outcome, in words.
type Step struct {
	Question int     `json:"question"`
	Text     string  `json:"text"`
	Outcome  Outcome `json:"outcome"`
	Reason   Reason  `json:"reason"` // what a failure of this question is called
	Detail   string  `json:"detail,omitempty"`
}

var questions = [...]struct {
	text   string
	reason Reason
}{
	1: {"is the authority well formed, present once, and do Host and :authority agree?", MalformedAuthority},
	2: {"does the scheme fit the connection?", SchemeMismatch},
	3: {"is the origin one of ours?", UnknownOrigin},
	4: {"is it served on this listener?", WrongListener},
	5: {"does a certificate of this connection cover the host?", CertificateMismatch},
	6: {"did this connection pass the site's client authentication?", ClientAuthMismatch},
	7: {"does it satisfy the site's minimum TLS version?", TLSVersionMismatch},
	8: {"if the site wants connections of its own: did the handshake choose this site?", CoalescingRefused},
}

// Explain decides as Decide does and returns every question with its outcome, those that were not reached as
// NotAsked.
func (t *Table) Explain(c *Conn, r Request) ([]Step, Verdict) {
	tr := &trace{}
	v := t.explain(c, r, tr)
	for q := 1; q < len(questions); q++ {
		if len(tr.steps) < q || tr.steps[q-1].Question != q {
			tr.insert(q)
		}
	}
	return tr.steps, v
}

func (t *Table) explain(c *Conn, r Request, tr *trace) Verdict {
	if c == nil {
		return Answer(NoFacts)
	}
	if len(r.Hosts) > 0 {
		if reason := agree(r); reason != OK {
			tr.ask(1, reason, false, fmt.Sprintf("%q beside Host %q", r.Authority, r.Hosts))
			return verdict(reason, nil, 400)
		}
	}
	return t.decide(c, r, tr)
}

// A trace records questions. A nil trace records nothing, which is what Decide uses.
type trace struct {
	steps  []Step
	site   *Site
	origin Origin
}

func (tr *trace) ask(q int, reason Reason, passed bool, detail any) bool {
	if tr != nil {
		outcome := Passed
		if !passed {
			outcome = Refused
		}
		tr.record(q, reason, outcome, detail)
	}
	return passed
}

func (tr *trace) waive(q int, reason Reason, detail any) {
	if tr != nil {
		tr.record(q, reason, Waived, detail)
	}
}

func (tr *trace) chose(s *Site) {
	if tr != nil {
		tr.site = s
	}
}

func (tr *trace) about(o Origin) {
	if tr != nil {
		tr.origin = o
	}
}

func (tr *trace) record(q int, reason Reason, outcome Outcome, detail any) {
	tr.steps = append(tr.steps, Step{q, questions[q].text, outcome, reason, tr.describe(q, detail)})
}

func (tr *trace) insert(q int) {
	step := Step{Question: q, Text: questions[q].text, Outcome: NotAsked, Reason: questions[q].reason}
	tr.steps = append(tr.steps[:q-1], append([]Step{step}, tr.steps[q-1:]...)...)
}

// describe says what a question looked at.
func (tr *trace) describe(q int, detail any) string {
	switch d := detail.(type) {
	case nil:
		if q == 1 {
			return ""
		}
		return tr.origin.String()
	case error:
		return d.Error()
	case string:
		return d
	case Scheme:
		return "scheme " + d.String()
	case *Conn:
		return tr.describeConn(q, d)
	}
	return fmt.Sprint(detail)
}

func (tr *trace) describeConn(q int, c *Conn) string {
	s := tr.site
	switch q {
	case 4:
		return fmt.Sprintf("site %q is served on %s; the connection is on %q", s.Name, listenerNames(s), c.Listener)
	case 5:
		return "the certificate shown names " + joined(c.Names)
	case 6:
		if s == nil {
			return fmt.Sprintf("the connection was configured for SNI %q", c.SNI)
		}
		return fmt.Sprintf("site %q wants %s; the connection %s", s.Name, s.ClientAuth, clientAuthOf(c, s))
	case 7:
		return fmt.Sprintf("site %q wants %s; the connection has %s", s.Name, versionName(s.MinVersion), versionName(c.Version))
	case 8:
		own := "shares connections"
		if s.OwnConnections {
			own = "wants connections of its own"
		}
		return fmt.Sprintf("site %q %s; the handshake chose %q", s.Name, own, c.Site)
	}
	return ""
}

func listenerNames(s *Site) string {
	if len(s.Listeners) == 0 {
		return "all listeners"
	}
	return strings.Join(s.Listeners, ", ")
}

func joined(list []*Names) string {
	var all []string
	for _, n := range list {
		all = append(all, n.All()...)
	}
	const most = 8
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

func clientAuthOf(c *Conn, s *Site) string {
	switch {
	case c.Trusted:
		return "comes from a trusted gateway, whose Client-Cert fields decide"
	case c.ClientAuth == None:
		return "was never asked for a client certificate"
	case s.ClientAuth != None && c.ClientCAs != s.ClientCAs:
		return "was asked under another set of certificate authorities"
	case c.Verified:
		return "has a verified client certificate"
	}
	return "was asked and showed no certificate"
}

func versionName(v uint16) string {
	switch v {
	case 0:
		return "any version"
	case 0x0301:
		return "TLS 1.0"
	case 0x0302:
		return "TLS 1.1"
	case 0x0303:
		return "TLS 1.2"
	case 0x0304:
		return "TLS 1.3"
	}
	return fmt.Sprintf("version %#04x", v)
}
