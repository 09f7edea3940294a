package suite

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// A Result is what came of a case over one protocol.
type Result struct {
	Case     *Case         `json:"-"`
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Protocol wire.Protocol `json:"protocol"`
	Verdict  Verdict       `json:"verdict"`
	Answer   []string      `json:"answer"` // in the words of the cases
	Right    []string      `json:"right"`  // what would have been
	Reason   string        `json:"reason"`
	RFC      string        `json:"rfc"`
}

// A Score sums results up.
type Score struct {
	Right      int `json:"right"`
	OverStrict int `json:"over_strict"`
	Wrong      int `json:"wrong"`
	Dangerous  int `json:"dangerous"`
	Skipped    int `json:"skipped"`
	// Points are of 100: what is right counts whole, what is over-strict half, what is skipped not at all. With anything dangerous there are
	// at most 50.
	Points int `json:"points"`
}

// Run asks the server at an address all cases, with the client certificate of the suite. The error is ctx's, or that of a host that cannot
// be reached: the server is not set up.
func Run(ctx context.Context, address netip.AddrPort, certificate *tls.Certificate, o probe.Options) ([]Result, error) {
	o.Certificate = certificate
	s, err := newStage(ctx, address, o)
	if err != nil {
		return nil, err
	}
	var steps []*probe.Step
	var results []Result
	cases := Cases()
	for i := range cases {
		c := &cases[i]
		for _, p := range c.Protocols {
			steps = append(steps, s.step(c, p))
			results = append(results, Result{Case: c, ID: c.ID, Title: c.Title, Protocol: p, Right: c.Expect.Right, Reason: c.Reason, RFC: c.RFC})
		}
	}
	speaks := steps[:0:0]
	for i, step := range steps {
		if s.speaks[results[i].Protocol] {
			speaks = append(speaks, step)
		} else {
			results[i].Verdict, results[i].Answer = Skipped, []string{}
		}
	}
	seen, err := probe.Run(ctx, speaks, o)
	if err != nil {
		return nil, err
	}
	next := 0
	for i := range results {
		r := &results[i]
		if r.Verdict == Skipped {
			continue
		}
		r.Answer = describe(r.Case, seen[next])
		r.Verdict = r.Case.Expect.Judge(r.Answer)
		if seen[next].Failure == probe.NoTicket {
			r.Verdict = Right // nothing can be resumed
		}
		next++
	}
	return results, nil
}

// Count sums up.
func Count(results []Result) Score {
	var s Score
	for i := range results {
		switch results[i].Verdict {
		case Right:
			s.Right++
		case OverStrict:
			s.OverStrict++
		case Wrong:
			s.Wrong++
		case Dangerous:
			s.Dangerous++
		case Skipped:
			s.Skipped++
		}
	}
	if asked := len(results) - s.Skipped; asked > 0 {
		s.Points = int(math.Floor(100 * (float64(s.Right) + float64(s.OverStrict)/2) / float64(asked)))
	}
	if s.Dangerous > 0 {
		s.Points = min(s.Points, 50)
	}
	return s
}

// A stage is a server that is set up.
type stage struct {
	address netip.AddrPort
	hosts   map[string]*probe.Host
	speaks  map[wire.Protocol]bool
}

// newStage looks whether the hosts are there.
func newStage(ctx context.Context, address netip.AddrPort, o probe.Options) (*stage, error) {
	s := &stage{address: address, hosts: map[string]*probe.Host{}, speaks: map[wire.Protocol]bool{}}
	o.Connect = []probe.ConnectTo{{ToHost: address.Addr().String()}}
	var targets []probe.Target
	for _, host := range Hosts {
		t, err := probe.ParseTarget(fmt.Sprintf("%s:%d", Name(host), address.Port()))
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	hosts, err := probe.Survey(ctx, targets, o)
	if err != nil {
		return nil, err
	}
	for i, h := range hosts {
		if !h.Reachable() {
			return nil, fmt.Errorf("%s at %s: %s: %s", h.Name(), address, h.Failure, h.Detail)
		}
		s.hosts[Hosts[i]] = h
	}
	for p, own := range hosts[0].Own {
		a, ok := own.Plain.Good()
		if ok && whose(a.Body) != Hosts[0] {
			return nil, fmt.Errorf("%s at %s answers %d %.40q, not %q: the server is not set up for the suite", hosts[0].Name(), address, a.Status, a.Body, strings.TrimSpace(Content(Hosts[0])))
		}
		s.speaks[p] = ok
	}
	return s, nil
}

// host returns a host of the suite, or one that nobody has.
func (s *stage) name(host string) string {
	if host == "" {
		return ""
	}
	name := Name(host)
	if s.address.Port() != 443 {
		name += fmt.Sprintf(":%d", s.address.Port())
	}
	return name
}

func (s *stage) step(c *Case, p wire.Protocol) *probe.Step {
	step := &probe.Step{Check: probe.CheckReuse, Protocol: p, Address: s.address, Certificate: c.Connection.Certificate,
		Version: map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[c.Connection.TLS], Session: s.hosts[c.Connection.Session]}
	if c.Connection.SNI != "" {
		step.ServerName = Name(c.Connection.SNI)
		step.From = s.hosts[c.Connection.SNI]
	}
	if c.Connection.Form == "upper" {
		step.ServerName = strings.ToUpper(step.ServerName)
	}
	step.Asks = []probe.Ask{{Kind: probe.Plain, Host: s.hosts[c.Request.Authority], Request: s.request(&c.Request, p)}}
	return step
}

func (s *stage) request(r *Request, p wire.Protocol) wire.Request {
	name, second := s.name(r.Authority), s.name(r.Second)
	w := wire.Request{Authority: name}
	switch r.Form {
	case "upper":
		w.Authority = strings.ToUpper(name)
	case "dot":
		w.Authority = strings.Replace(name, ".test", ".test.", 1)
	case "port":
		w.Authority = fmt.Sprintf("%s:%d", Name(r.Authority), s.address.Port()%65535+1)
	case "userinfo":
		w.Authority = "user@" + name
	case "missing":
		w.NoAuthority, w.Hosts = true, []string{}
	case "twice":
		w.Hosts = []string{name, second}
	case "conflict":
		w.Hosts = []string{second}
	case "absolute":
		w.Target = "https://" + second + "/"
	case "http":
		w.Scheme = "http"
		if p == wire.H1 {
			w.Target = "http://" + name + "/"
		}
	}
	return w
}
