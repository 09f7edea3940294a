package report

import (
	"slices"
	"strings"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// A group is findings that differ only in the connection, the protocol and the address: one cure ends them all.
type group struct {
	probe.Finding                 // the first
	connections   []string        // whose
	protocols     []wire.Protocol // over which
	also          int             // how many more there are
}

func groups(list []probe.Finding) (all []*group) {
	index := map[[4]string]*group{}
	for _, f := range list {
		key := [4]string{string(f.ID) + f.Severity.String(), string(f.Check), string(f.Kind), f.Host}
		g := index[key]
		if g == nil {
			g = &group{Finding: f, also: -1}
			index[key] = g
			all = append(all, g)
		}
		g.also++
		g.connections = with(g.connections, f.Connection)
		g.protocols = with(g.protocols, f.Protocol)
	}
	return all
}

func with[T ~string](list []T, v T) []T {
	if v == "" || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// over writes protocols.
func over(list []wire.Protocol) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

// oddity is what was odd about the request or the connection, behind a comma; empty: nothing.
func (g *group) oddity() string {
	if g.Kind == "" || g.Kind == probe.Plain {
		if g.Check == probe.CheckResume {
			return ", by another host's session"
		}
		return ""
	}
	return ", " + kindWords(g.Kind)
}

// kindWords writes a kind as words: "no SNI", "host against authority".
func kindWords(k probe.Kind) string {
	if k == probe.AltSvc {
		return "Alt-Svc"
	}
	text := strings.ReplaceAll(string(k), "-", " ")
	for _, word := range []string{"SNI", "TLS", "HTTP", "IP", "OPTIONS"} {
		for _, form := range []string{" " + strings.ToLower(word), strings.ToLower(word) + " "} {
			text = strings.Replace(" "+text+" ", form, strings.Replace(form, strings.ToLower(word), word, 1), 1)
			text = strings.TrimSpace(text)
		}
	}
	return text
}

// A certificateGroup is the hosts that show one certificate.
type certificateGroup struct {
	mark        string // A, B, ...
	certificate *probe.Certificate
	hosts       []*probe.HostReport
}

// byCertificate groups the hosts that can be reached, and returns the others apart.
func byCertificate(hosts []probe.HostReport) (list []*certificateGroup, unreachable []*probe.HostReport) {
	index := map[string]*certificateGroup{}
	for i := range hosts {
		h := &hosts[i]
		if h.Unreachable != "" {
			unreachable = append(unreachable, h)
			continue
		}
		key := ""
		if h.Certificate != nil {
			key = h.Certificate.SHA256
		}
		g := index[key]
		if g == nil {
			g = &certificateGroup{mark: letters(len(list)), certificate: h.Certificate}
			index[key] = g
			list = append(list, g)
		}
		g.hosts = append(g.hosts, h)
	}
	return list, unreachable
}

// letters counts A to Z, AA, AB and so on.
func letters(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return letters(n/26-1) + letters(n%26)
}

// A pairGroup is pairs with the same host and the same outcome.
type pairGroup struct {
	probe.Pair
	connections []string
	protocols   []wire.Protocol
	n           int
}

func pairGroups(pairs []probe.Pair, want func(*probe.Pair) bool) (all []*pairGroup) {
	type key struct {
		host    string
		outcome probe.Outcome
		status  int
		content probe.Content
	}
	index := map[key]*pairGroup{}
	for i := range pairs {
		p := &pairs[i]
		if !want(p) {
			continue
		}
		k := key{p.Host, p.Outcome, p.Status, p.Content}
		g := index[k]
		if g == nil {
			g = &pairGroup{Pair: *p}
			index[k] = g
			all = append(all, g)
		}
		g.n++
		g.connections = with(g.connections, p.Connection)
		g.protocols = with(g.protocols, p.Protocol)
	}
	slices.SortStableFunc(all, func(a, b *pairGroup) int { return rank(a.Outcome) - rank(b.Outcome) })
	return all
}

// outcomes from the worst to the best.
var outcomes = []probe.Outcome{probe.Open, probe.Wrong, probe.Broken, probe.NotCovered, probe.CannotTell, probe.TooStrict, probe.OwnOnly,
	probe.Refused, probe.Served, probe.NoConnection}

func rank(o probe.Outcome) int { return slices.Index(outcomes, o) }

// outcomeWords say what an outcome means.
func outcomeWords(p *probe.Pair) string {
	switch p.Outcome {
	case probe.Served:
		if p.Status >= 400 {
			return "served: its own error"
		}
		return "served"
	case probe.Refused:
		if p.Status == 0 {
			return "refused: comes back over another HTTP"
		}
		return "refused: comes back on its own connection"
	case probe.OwnOnly:
		return "refused: wants connections of its own"
	case probe.TooStrict:
		return "refused for nothing"
	case probe.Wrong:
		return "WRONG CONTENT" + whose(p)
	case probe.Open:
		return "BYPASS: open without a client certificate"
	case probe.NotCovered:
		return "SERVED WITHOUT A CERTIFICATE FOR IT"
	case probe.Broken:
		return "BROKEN: clients do not retry this"
	case probe.CannotTell:
		return "cannot tell"
	}
	return "no connection"
}

func whose(p *probe.Pair) string {
	if p.Content == probe.OfConnection {
		return ": that of the connection's host"
	}
	return ""
}
