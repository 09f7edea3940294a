package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// A Style says how text is to look.
type Style struct {
	Colours bool
	Width   int // columns; 0: 100
}

// Text writes a report for people.
func Text(w io.Writer, r *probe.Report, s Style) error {
	if s.Width <= 0 {
		s.Width = 100
	}
	p := &printer{w: w, Style: s, snippets: map[string]bool{}, port: commonPort(r)}
	p.hosts(r)
	p.pairs(r)
	p.findings(r)
	p.summary(r)
	return p.err
}

type printer struct {
	w        io.Writer
	err      error
	snippets map[string]bool // that were shown
	port     string          // ":8443", where all hosts have it: tables are easier to read without
	Style
}

// commonPort is the port, with its colon, that all names have; empty where there is none.
func commonPort(r *probe.Report) (port string) {
	for i := range r.Hosts {
		name := r.Hosts[i].Name
		colon := strings.LastIndexByte(name, ':')
		if colon < 0 || strings.HasSuffix(name, "]") || port != "" && name[colon:] != port {
			return ""
		}
		port = name[colon:]
	}
	return port
}

// brief is a name without the port that all have.
func (p *printer) brief(name string) string { return strings.TrimSuffix(name, p.port) }

func (p *printer) briefs(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = p.brief(name)
	}
	return list
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) sgr(code, s string) string {
	if !p.Colours || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) bold(s string) string  { return p.sgr("1", s) }
func (p *printer) good(s string) string  { return p.sgr("32", s) }
func (p *printer) warn(s string) string  { return p.sgr("33", s) }
func (p *printer) bad(s string) string   { return p.sgr("1;31", s) }
func (p *printer) faint(s string) string { return p.sgr("2", s) }

func (p *printer) severity(s probe.Severity, text string) string {
	switch s {
	case probe.Critical, probe.High:
		return p.bad(text)
	case probe.Medium, probe.Low:
		return p.warn(text)
	}
	return p.bold(text)
}

// mostHosts and mostPairs bound the tables; JSON has everything.
const (
	mostHosts = 200
	mostPairs = 200
)

func (p *printer) hosts(r *probe.Report) {
	groups, unreachable := byCertificate(r.Hosts)
	title := p.bold("Hosts, by certificate")
	if p.port != "" {
		title += ", all on port " + p.port[1:]
	}
	if len(groups) > 0 {
		p.line("%s", title)
	}
	shown := 0
	for _, g := range groups {
		if shown >= mostHosts {
			p.line("\nand more (--json names all)")
			break
		}
		p.line("")
		p.wrap(2, 5, p.bold(g.mark)+"  "+certificateWords(g.certificate))
		t := &grid{printer: p, indent: 5, first: 16}
		t.row(p.faint("host"), p.faint("client cert."), p.faint("HTTP/1.1"), p.faint("HTTP/2"), p.faint("HTTP/3"))
		for _, h := range g.hosts {
			shown++
			t.row(p.brief(h.Name), auth(h.ClientAuth), p.status(h, wire.H1), p.status(h, wire.H2), p.status(h, wire.H3))
		}
		t.flush()
		p.problems(g)
	}
	if len(unreachable) > 0 {
		if len(groups) > 0 {
			p.line("")
		}
		p.line("%s", p.bold("Not reached"))
		for i, h := range unreachable {
			if i >= mostHosts {
				p.line("  and %d more (--json names all)", len(unreachable)-i)
				break
			}
			p.wrap(2, 4, h.Name+": "+h.Unreachable)
		}
	}
	p.line("")
}

// problems are what verifying clients object to, each once.
func (p *printer) problems(g *certificateGroup) {
	for _, h := range g.hosts {
		if h.Certificate != nil && h.Certificate.Problem != "" {
			p.wrap(5, 9, p.warn("clients refuse it:")+" "+h.Certificate.Problem)
			return
		}
	}
}

func certificateWords(c *probe.Certificate) string {
	if c == nil {
		return "no certificate was seen"
	}
	names := c.Names
	more := ""
	if len(names) > 8 {
		names, more = names[:8], fmt.Sprintf(" and %d more", len(c.Names)-8)
	}
	return "certificate for " + strings.Join(names, ", ") + more + "; ends " + c.NotAfter.Format("2006-01-02")
}

func auth(a probe.ClientAuth) string {
	if a == probe.AuthNone {
		return "-"
	}
	return string(a)
}

func (p *printer) status(h *probe.HostReport, proto wire.Protocol) string {
	for _, r := range h.Protocols {
		if r.Protocol != proto {
			continue
		}
		switch {
		case r.StatusWith != 0 && r.StatusWith != r.Status:
			return fmt.Sprintf("%s, with cert. %d", without(&r), r.StatusWith)
		case r.Status != 0:
			return strconv.Itoa(r.Status)
		}
		return p.faint(without(&r))
	}
	return p.faint("-")
}

func without(r *probe.ProtocolReport) string {
	switch {
	case r.Failure == wire.Alert:
		return "alert"
	case r.Failure == wire.NoProtocol:
		return "no"
	case r.Failure != "":
		return string(r.Failure)
	}
	return strconv.Itoa(r.Status)
}

func (p *printer) pairs(r *probe.Report) {
	for _, part := range []struct {
		title string
		want  func(*probe.Pair) bool
	}{
		{"Connections that browsers share", coalescible},
		{"Other hosts' requests, which no browser would send there", elsewhere},
	} {
		list := pairGroups(r.Pairs, part.want)
		if len(list) == 0 {
			continue
		}
		p.line("%s\n", p.bold(part.title))
		t := &grid{printer: p, indent: 2, first: 14}
		t.row(p.faint("a request for"), p.faint("on a connection for"), p.faint("over"), p.faint("answer"), p.faint("that is"))
		for i, g := range list {
			if i >= mostPairs {
				break
			}
			t.row(p.brief(g.Host), some(p.briefs(g.connections), 4), short(g.protocols), answerOf(&g.Pair), p.outcome(&g.Pair))
		}
		t.flush()
		if len(list) > mostPairs {
			p.line("  and %d more lines (--json has all)", len(list)-mostPairs)
		}
		p.line("")
	}
}

func coalescible(x *probe.Pair) bool { return x.Coalescible }
func elsewhere(x *probe.Pair) bool   { return !x.Coalescible }

func (p *printer) outcome(x *probe.Pair) string {
	text := outcomeWords(x)
	switch x.Outcome {
	case probe.Served:
		return p.good(text)
	case probe.Open, probe.Wrong, probe.Broken:
		return p.bad(text)
	case probe.NotCovered, probe.TooStrict, probe.CannotTell:
		return p.warn(text)
	}
	return text
}

func answerOf(x *probe.Pair) string {
	switch {
	case x.Status != 0 && x.Failure != "":
		return fmt.Sprintf("%d, %s", x.Status, x.Failure)
	case x.Status != 0:
		return strconv.Itoa(x.Status)
	case x.Failure != "":
		return string(x.Failure)
	}
	return "none"
}

func short(list []wire.Protocol) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = string(x)
	}
	return strings.Join(words, " ")
}

// some joins names, the first few of them.
func some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
}

// mostFindings is how many kinds of findings are told at length.
const mostFindings = 100

func (p *printer) findings(r *probe.Report) {
	list := groups(r.Findings)
	if len(list) == 0 {
		return
	}
	p.line("%s", p.bold("Findings"))
	for i, g := range list {
		if i >= mostFindings {
			p.line("\nand %d more (--json has all)", len(list)-i)
			break
		}
		p.finding(g)
	}
	p.line("")
}

func (p *printer) finding(g *group) {
	p.line("")
	p.wrap(0, 2, p.severity(g.Severity, g.Severity.String()+" "+string(g.ID))+"  "+p.bold(p.brief(g.Host)+g.oddity()))
	p.part("sent", g.Sent)
	p.part("got", g.Got)
	if g.also > 0 {
		text := "over " + over(g.protocols)
		if len(g.connections) > 0 {
			text += ", on connections for " + some(p.briefs(g.connections), 6)
		}
		p.part("seen", fmt.Sprintf("%d times: %s", g.also+1, text))
	}
	p.part("why", g.Why)
	p.part("RFC", g.RFC)
	p.part("cure", g.Cure)
	switch {
	case g.Snippet != "" && p.snippets[g.Snippet]:
		p.line("        %s", p.faint(g.Server+": the lines above"))
	case g.Snippet != "":
		p.snippets[g.Snippet] = true
		p.line("        %s", p.faint(g.Server+":"))
		for line := range strings.SplitSeq(g.Snippet, "\n") {
			p.line("        %s %s", p.faint("|"), line)
		}
	}
	if g.Try != "" {
		p.line("  %s   %s", p.faint("try"), g.Try) // in one line: it is there to be copied
	}
}

func (p *printer) part(name, text string) {
	if text != "" {
		p.wrap(2, 8, p.faint(name)+strings.Repeat(" ", 6-len(name))+text)
	}
}

func (p *printer) summary(r *probe.Report) {
	s := &r.Summary
	text := fmt.Sprintf("%s, %s on shared connections, ", plural(s.Hosts, "host"), plural(s.Pairs, "answer"))
	switch {
	case s.Findings == 0 && s.Unreachable == s.Hosts:
		text += p.warn("nothing could be asked")
	case s.Findings == 0 && s.Known == 0 && s.Pairs == 0 && len(closed(r)) == s.Hosts-s.Unreachable:
		text += p.warn("nothing but refusals for want of a client certificate was seen")
	case s.Findings == 0 && s.Known == 0:
		text += p.good("no finding")
	case s.Findings == 0:
		text += p.good("no new finding")
	default:
		text += p.severity(worst(r), plural(s.Findings, "finding")) + bySeverity(s)
	}
	if s.Known > 0 {
		text += fmt.Sprintf(" (%d known from the baseline)", s.Known)
	}
	if s.Unreachable > 0 {
		text += "; " + plural(s.Unreachable, "host") + " not reached"
	}
	p.wrap(0, 0, text+".")
	p.hints(r)
}

// hints say what would tell more.
func (p *printer) hints(r *probe.Report) {
	if names := p.briefs(closed(r)); len(names) > 0 {
		p.wrap(0, 6, "hint: --cert and --key show what is behind client authentication, and how connections of such hosts are treated: "+some(names, 3))
	}
	named := slices.ContainsFunc(r.Hosts, func(h probe.HostReport) bool { return h.Server != "" }) ||
		slices.ContainsFunc(r.Findings, func(f probe.Finding) bool { return f.Server != "" })
	if len(r.Findings) > 0 && !named {
		p.wrap(0, 6, "hint: no answer says which server it is; --server haproxy, for one, adds lines for its configuration")
	}
}

// closed are the hosts that refused their own connections for want of a client certificate, or may have, and were shown none that they take.
func closed(r *probe.Report) (names []string) {
	for i := range r.Hosts {
		h := &r.Hosts[i]
		opened := slices.ContainsFunc(h.Protocols, func(p probe.ProtocolReport) bool { return p.StatusWith != 0 && p.StatusWith < 400 })
		if (h.ClientAuth == probe.AuthRequired || h.ClientAuth == probe.AuthUnclear) && h.Unreachable == "" && !opened {
			names = append(names, h.Name)
		}
	}
	return names
}

func worst(r *probe.Report) (max probe.Severity) {
	for i := range r.Findings {
		if r.Findings[i].Severity > max {
			max = r.Findings[i].Severity
		}
	}
	return max
}

func bySeverity(s *probe.Summary) string {
	var parts []string
	words := probe.Severities()
	for i := len(words) - 1; i >= 0; i-- {
		if n := s.BySeverity[words[i]]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words[i]))
		}
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// wrap writes text within the width: the first line begins at column first, the others at column rest. Colours have no width.
func (p *printer) wrap(first, rest int, text string) {
	for i, l := range wrapped(text, p.Width-first, p.Width-rest) {
		indent := rest
		if i == 0 {
			indent = first
		}
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

// wrapped breaks text at spaces. A word that is longer than a line stays whole: it may be there to be copied.
func wrapped(text string, first, rest int) (lines []string) {
	line, width, limit := "", 0, max(first, 20)
	for i, word := range strings.Split(text, " ") {
		n := visible(word)
		if i > 0 && width+1+n > limit && width > 0 {
			lines = append(lines, strings.TrimRight(line, " "))
			line, width, limit = "", 0, max(rest, 20)
			if word == "" {
				continue
			}
			line, width = word, n
			continue
		}
		if i > 0 {
			line += " "
			width++
		}
		line += word
		width += n
	}
	return append(lines, strings.TrimRight(line, " "))
}

// visible is the width of a text without its colours.
func visible(s string) int {
	n := 0
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			if i := strings.IndexByte(s, 'm'); i > 0 {
				s = s[i+1:]
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		n++
	}
	return n
}
