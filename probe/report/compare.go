package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/usher-http/usher/probe"
)

// Without takes the findings out of a report that a baseline has, too, and counts them as known.
func Without(r, baseline *probe.Report) {
	known := keys(baseline)
	var fresh []probe.Finding
	for _, f := range r.Findings {
		if known[f.Key] {
			r.Summary.Known++
		} else {
			fresh = append(fresh, f)
		}
	}
	r.Findings = fresh
	r.Count()
}

func keys(r *probe.Report) map[string]bool {
	list := map[string]bool{}
	for i := range r.Findings {
		list[r.Findings[i].Key] = true
	}
	return list
}

// A Comparison is what became of findings from one report to the next.
type Comparison struct {
	New, Gone, Still []probe.Finding
}

// Compare compares two reports. A finding of a host that the new report could not reach, or does not have, is not gone: nobody asked.
func Compare(old, fresh *probe.Report) Comparison {
	var c Comparison
	before, now := keys(old), keys(fresh)
	asked := map[string]bool{}
	for i := range fresh.Hosts {
		asked[fresh.Hosts[i].Name] = fresh.Hosts[i].Unreachable == ""
	}
	for _, f := range fresh.Findings {
		if before[f.Key] {
			c.Still = append(c.Still, f)
		} else {
			c.New = append(c.New, f)
		}
	}
	for _, f := range old.Findings {
		if now[f.Key] {
			continue
		}
		if f.Connection == "" && asked[f.Host] || asked[f.Connection] && (asked[f.Host] || f.Check == probe.CheckParse) {
			c.Gone = append(c.Gone, f)
		} else {
			c.Still = append(c.Still, f)
		}
	}
	return c
}

// Text writes a comparison for people.
func (c Comparison) Text(w io.Writer, s Style) error {
	if s.Width <= 0 {
		s.Width = 100
	}
	p := &printer{w: w, Style: s, snippets: map[string]bool{}}
	if len(c.Gone) > 0 {
		p.line("%s\n", p.bold("Gone"))
		for _, g := range groups(c.Gone) {
			p.wrap(2, 4, fmt.Sprintf("%s %s  %s%s", g.Severity, p.good(string(g.ID)), g.Host, g.oddity()))
		}
		p.line("")
	}
	if len(c.New) > 0 {
		p.line("%s", p.bold("New"))
		for _, g := range groups(c.New) {
			p.finding(g)
		}
		p.line("")
	}
	p.line("%d new, %d gone, %d as before.", len(c.New), len(c.Gone), len(c.Still))
	return p.err
}

// JSON writes a comparison as lines of JSON: the findings, each with a change (new, gone or still), and a summary.
func (c Comparison) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, part := range []struct {
		change string
		list   []probe.Finding
	}{{"new", c.New}, {"gone", c.Gone}, {"still", c.Still}} {
		for i := range part.list {
			line := struct {
				Type   string `json:"type"`
				Change string `json:"change"`
				*probe.Finding
			}{"finding", part.change, &part.list[i]}
			if err := e.Encode(line); err != nil {
				return err
			}
		}
	}
	return e.Encode(struct {
		Type string `json:"type"`
		counts
	}{"comparison", counts{len(c.New), len(c.Gone), len(c.Still)}})
}

// counts are how many findings are new, gone and as before.
type counts struct {
	New   int `json:"new"`
	Gone  int `json:"gone"`
	Still int `json:"still"`
}
