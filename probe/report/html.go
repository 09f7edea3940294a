package report

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// mostRows bounds the tables of the page; JSON has everything.
const mostRows = 2000

// pageData is what the page shows.
type pageData struct {
	Summary     *probe.Summary
	When        string
	Version     string
	Chart       *chart
	Groups      []pageGroup
	Unreachable []*probe.HostReport
	Pairs       []pagePair
	Findings    []pageFinding
	Counts      []severityCount
}

type pageGroup struct {
	Mark, Title, Problem string
	Hosts                []pageHost
}

type pageHost struct {
	*probe.HostReport
	Auth, Statuses string
}

type pagePair struct {
	probe.Pair
	Connections         []string
	Over, Answer, Words string
	Bad                 bool
}

type pageFinding struct {
	probe.Finding
	Times       int
	Connections []string
	Over, Odd   string
}

type severityCount struct {
	Severity string
	N        int
}

// HTML writes a report as one page that needs nothing else: no script, style, font or picture from anywhere.
func HTML(w io.Writer, r *probe.Report, when time.Time, version string) error {
	d := pageData{Summary: &r.Summary, When: when.UTC().Format("2006-01-02 15:04 UTC"), Version: version, Chart: newChart(r)}
	groupsOf, unreachable := byCertificate(r.Hosts)
	d.Unreachable = unreachable
	for _, g := range groupsOf {
		d.Groups = append(d.Groups, newPageGroup(g))
	}
	pairs := append(pairGroups(r.Pairs, coalescible), pairGroups(r.Pairs, elsewhere)...)
	for _, p := range pairs {
		if len(d.Pairs) < mostRows {
			d.Pairs = append(d.Pairs, pagePair{p.Pair, p.connections, over(p.protocols), answerOf(&p.Pair), outcomeWords(&p.Pair), rank(p.Outcome) <= rank(probe.TooStrict)})
		}
	}
	for _, g := range groups(r.Findings) {
		if len(d.Findings) < mostRows {
			d.Findings = append(d.Findings, pageFinding{g.Finding, g.also + 1, g.connections, over(g.protocols), g.oddity()})
		}
	}
	words := probe.Severities()
	for i := len(words) - 1; i >= 0; i-- {
		d.Counts = append(d.Counts, severityCount{words[i], r.Summary.BySeverity[words[i]]})
	}
	return page.Execute(w, d)
}

func newPageGroup(g *certificateGroup) pageGroup {
	p := pageGroup{Mark: g.mark, Title: certificateWords(g.certificate)}
	for _, h := range g.hosts {
		if h.Certificate != nil && p.Problem == "" {
			p.Problem = h.Certificate.Problem
		}
		p.Hosts = append(p.Hosts, pageHost{h, auth(h.ClientAuth), statuses(h, wire.Protocol.String)})
	}
	return p
}
