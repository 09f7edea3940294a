package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"

	"github.com/usher-http/usher/probe"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitFailure `xml:"failure"`
		Error   *junitFailure `xml:"error"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report as JUnit's XML: a test for each host that is to be reached, each pair without a finding, which is skipped where the
// probe cannot tell, and each finding. Findings below least pass, with what was found as their output; all pass where fails is false.
func JUnit(w io.Writer, r *probe.Report, least probe.Severity, fails bool) error {
	all := junitSuites{Name: "usher probe", Time: fmt.Sprintf("%.3f", r.Summary.Seconds)}
	hosts := junitSuite{Name: "hosts"}
	for i := range r.Hosts {
		h := &r.Hosts[i]
		c := junitCase{Name: h.Name + " can be reached", Class: "hosts"}
		if h.Unreachable != "" {
			c.Error = &junitFailure{Message: h.Unreachable, Type: "unreachable"}
		}
		hosts.add(c)
	}
	pairs := junitSuite{Name: "connections"}
	for i := range r.Pairs {
		p := &r.Pairs[i]
		c := junitPair(p)
		switch p.Outcome {
		case probe.Served, probe.Refused, probe.OwnOnly:
			c.Out = outcomeWords(p)
		case probe.CannotTell:
			c.Skipped = &junitSkipped{fmt.Sprintf("%s: %s", outcomeWords(p), answerOf(p))}
		default:
			continue // the findings have it
		}
		if !slices.ContainsFunc(pairs.Cases, func(x junitCase) bool { return x.Name == c.Name }) { // a session in two versions of TLS, for one
			pairs.add(c)
		}
	}
	findings := junitSuite{Name: "findings"}
	for i := range r.Findings {
		findings.add(junitFinding(&r.Findings[i], least, fails))
	}
	for _, s := range []junitSuite{hosts, pairs, findings} {
		all.Suites = append(all.Suites, s)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
	}
	io.WriteString(w, xml.Header)
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitPair(p *probe.Pair) junitCase {
	name := fmt.Sprintf("%s on a connection for %s, %s", p.Host, p.Connection, p.Protocol)
	if p.Certificate {
		name += ", with a client certificate" // readers take cases of one name for one
	}
	return junitCase{Name: name, Class: "connections"}
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
}

func junitFinding(f *probe.Finding, least probe.Severity, fails bool) junitCase {
	c := junitCase{Name: f.Key, Class: "findings." + string(f.ID)}
	text := fmt.Sprintf("sent: %s\ngot: %s\nwhy: %s\nRFC: %s\ncure: %s\n", f.Sent, f.Got, f.Why, f.RFC, f.Cure)
	if fails && f.Severity >= least {
		c.Failure = &junitFailure{Message: fmt.Sprintf("%s %s: %s", f.Severity, f.ID, f.Got), Type: string(f.ID), Text: text}
	} else {
		c.Out = text
	}
	return c
}
