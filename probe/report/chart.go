package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// A chart is the coalescing map: hosts in boxes, one for each certificate at an address; arcs for the connections that would be shared, from
// the host whose connection it is to the host that is asked for. Arcs that lead down are on the right, those that lead up on the left.
type chart struct {
	Width, Height int
	Boxes         []chartBox
	Hosts         []chartHost
	Arcs          []chartArc
	Left          int // arcs that are not drawn, since there are too many
}

type chartBox struct {
	X, Y, Width, Height int
	Title, Subtitle     string
}

type chartHost struct {
	X, Y   int
	Name   string
	Mark   string // of client authentication
	Status string
}

type chartArc struct {
	Path, Arrow string
	Class       string // the outcome
	Sign        string // what tells it without colour
	X, Y        int    // of the sign
	Title       string
	From, To    string
}

// Sizes in the picture, in pixels.
const (
	rowHeight  = 40
	headHeight = 44
	boxGap     = 18
	boxWidth   = 340
	mostDrawn  = 150 // hosts
	mostArcs   = 300
	mostBulge  = 400
)

func newChart(r *probe.Report) *chart {
	c := &chart{}
	rows := c.boxes(r)
	arcs := shared(r.Pairs, rows)
	if len(arcs) > mostArcs { // what is as it should be is left out first
		slices.SortStableFunc(arcs, func(a, b *pairGroup) int { return rank(a.Outcome) - rank(b.Outcome) })
		c.Left = len(arcs) - mostArcs
		arcs = arcs[:mostArcs]
	}
	left, right := 40, 40
	for _, g := range arcs {
		a, b := rows[g.Connection], rows[g.Host]
		if b > a {
			right = max(right, bulge(a, b)+70)
		} else {
			left = max(left, bulge(a, b)+70)
		}
	}
	c.Width = left + boxWidth + right
	for i := range c.Boxes {
		c.Boxes[i].X = left
	}
	for i := range c.Hosts {
		c.Hosts[i].X = left
	}
	for _, g := range arcs {
		c.Arcs = append(c.Arcs, arc(g, rows[g.Connection], rows[g.Host], left))
	}
	return c
}

// boxes places the hosts and returns where they are.
func (c *chart) boxes(r *probe.Report) map[string]int {
	rows := map[string]int{}
	y := boxGap
	groups, _ := byCertificate(r.Hosts)
	for _, g := range groups {
		byAddress := map[string][]*probe.HostReport{}
		var addresses []string
		for _, h := range g.hosts {
			a := strings.Join(h.Addresses, ", ")
			if byAddress[a] == nil {
				addresses = append(addresses, a)
			}
			byAddress[a] = append(byAddress[a], h)
		}
		for _, a := range addresses {
			hosts := byAddress[a]
			if len(rows)+len(hosts) > mostDrawn {
				hosts = hosts[:max(0, mostDrawn-len(rows))]
			}
			if len(hosts) == 0 {
				continue
			}
			box := chartBox{Y: y, Width: boxWidth, Height: headHeight + rowHeight*len(hosts), Title: "Certificate " + g.mark, Subtitle: clipped("at "+a, 56)}
			if g.certificate != nil {
				box.Title += ": " + clipped(strings.Join(g.certificate.Names, ", "), 28)
			}
			for i, h := range hosts {
				rowY := y + headHeight + rowHeight*i + rowHeight/2
				rows[h.Name] = rowY
				c.Hosts = append(c.Hosts, chartHost{Y: rowY, Name: h.Name, Mark: lock(h.ClientAuth), Status: statuses(h, shortName)})
			}
			c.Boxes = append(c.Boxes, box)
			y += box.Height + boxGap
		}
	}
	c.Height = y
	return rows
}

func lock(a probe.ClientAuth) string {
	switch a {
	case probe.AuthRequired:
		return "client certificate required"
	case probe.AuthUnclear:
		return "client certificate perhaps required"
	case probe.AuthOptional:
		return "client certificate optional"
	}
	return ""
}

func shortName(p wire.Protocol) string { return string(p) }

// statuses are a host's answers on its own connections, without a client certificate.
func statuses(h *probe.HostReport, name func(wire.Protocol) string) string {
	var list []string
	for _, p := range h.Protocols {
		if p.Status != 0 {
			list = append(list, fmt.Sprintf("%s %d", name(p.Protocol), p.Status))
		} else if p.Failure != wire.NoProtocol {
			list = append(list, fmt.Sprintf("%s %s", name(p.Protocol), p.Failure))
		}
	}
	return strings.Join(list, " · ")
}

// shared are the pairs to draw, one for each connection and host, with the worst outcome of all protocols: those that a browser would make,
// and what is open to others.
func shared(pairs []probe.Pair, rows map[string]int) (list []*pairGroup) {
	index := map[[2]string]*pairGroup{}
	for i := range pairs {
		p := &pairs[i]
		if !p.Coalescible && p.Outcome != probe.Open || rows[p.Connection] == 0 || rows[p.Host] == 0 {
			continue
		}
		key := [2]string{p.Connection, p.Host}
		g := index[key]
		if g == nil {
			g = &pairGroup{Pair: *p}
			index[key] = g
			list = append(list, g)
		}
		if rank(p.Outcome) < rank(g.Outcome) {
			g.Pair = *p
		}
		g.protocols = with(g.protocols, p.Protocol)
	}
	return list
}

func bulge(a, b int) int {
	d := a - b
	if d < 0 {
		d = -d
	}
	return min(30+d*4/5, mostBulge)
}

func arc(g *pairGroup, a, b, left int) chartArc {
	x, out, head := left+boxWidth, bulge(a, b), 8
	if b < a {
		x, out, head = left, -out, -8
	}
	shift := 7 // begins above, ends below its row's middle, so that arcs there and back do not meet
	if b < a {
		shift = -7
	}
	a, b = a+shift, b-shift
	return chartArc{
		Path:  fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x, a, x+out*4/3, a, x+out*4/3, b, x+head, b),
		Arrow: fmt.Sprintf("%d,%d %d,%d %d,%d", x, b, x+head, b-4, x+head, b+4),
		Class: string(g.Outcome), Sign: sign(&g.Pair), X: x + out, Y: (a + b) / 2,
		Title: fmt.Sprintf("%s on a connection for %s (%s): %s, %s", g.Host, g.Connection, over(g.protocols), answerOf(&g.Pair), outcomeWords(&g.Pair)),
		From:  g.Connection, To: g.Host,
	}
}

// sign tells an outcome without colour.
func sign(p *probe.Pair) string {
	switch p.Outcome {
	case probe.Served:
		return "ok"
	case probe.Open:
		return "BYPASS"
	case probe.Wrong:
		return "WRONG"
	case probe.NotCovered:
		return "uncovered"
	case probe.CannotTell:
		return "?"
	}
	return answerOf(p)
}

func clipped(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
