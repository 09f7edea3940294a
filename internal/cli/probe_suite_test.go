package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/usher-http/usher/probe/suite"
	"github.com/usher-http/usher/probe/wire"
)

// What is not right is told in words that need no knowledge of the cases' file.
func TestSuiteText(t *testing.T) {
	var results []suite.Result
	for _, c := range []struct {
		verdict suite.Verdict
		answer  string
		right   []string
	}{
		{suite.Right, "content:one", []string{"content:one"}}, {suite.Dangerous, "content:a.wild", []string{"421"}}, {suite.Wrong, "resumed,content:blog", []string{"content:blog"}},
		{suite.Wrong, "no 421: 200", []string{"no-store"}}, {suite.Wrong, "421, not usable", []string{"usable"}}, {suite.OverStrict, "400", []string{"alert", "421"}}, {suite.Skipped, "", nil},
	} {
		answer := []string{c.answer}
		if strings.HasPrefix(c.answer, "resumed") {
			answer = strings.Split(c.answer, ",")
		}
		results = append(results, suite.Result{ID: c.answer, Title: "a case", Protocol: wire.H2, Verdict: c.verdict, Answer: answer, Right: c.right, Reason: "because", RFC: "RFC 1"})
	}
	var out bytes.Buffer
	s := &session{stdout: &out}
	s.suiteText(results, suite.Count(results))
	flat := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "  | ", "")), " ")
	for _, want := range []string{
		"got the content of a.wild; right is 421: because (RFC 1)", "got a resumed session, the content of blog; right is the content of blog: because",
		"got 200, no 421 to look at; right is 421 with no-store", "got 421, and a connection of no more use; right is a connection that is still of use",
		"got 400; right is a TLS alert or 421", "With anything dangerous there are at most 50.", "- is not asked",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(flat, "content:") || strings.Contains(flat, "got the content of one") {
		t.Errorf("words of the file, or of what is right:\n%s", out.String())
	}
	for _, c := range suite.Cases() {
		for _, list := range [][]string{c.Expect.Right, c.Expect.OverStrict, c.Expect.Wrong, c.Expect.Dangerous} {
			for _, word := range list {
				if said := suiteWord(word); strings.ContainsAny(said, ":*") || said == "" {
					t.Errorf("%s: %q is told as %q", c.ID, word, said)
				}
			}
		}
	}
}
