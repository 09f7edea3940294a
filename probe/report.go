package probe

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/usher-http/usher/probe/wire"
)

// A Report is what a run found.
type Report struct {
	Hosts    []HostReport
	Pairs    []Pair
	Findings []Finding
	Summary  Summary
}

// A HostReport is a host as reports show it.
type HostReport struct {
	Name        string           `json:"name"`
	Addresses   []string         `json:"addresses"`
	Certificate *Certificate     `json:"certificate" jsonschema:"nullable"` // nil: none was seen
	Protocols   []ProtocolReport `json:"protocols"`
	Unreachable string           `json:"unreachable,omitempty"` // why; empty: it can be reached
	ClientAuth  ClientAuth       `json:"client_auth"`
	Server      string           `json:"server,omitempty"` // the Server field
}

// A Certificate is a server's certificate.
type Certificate struct {
	SHA256   string    `json:"sha256"`
	Names    []string  `json:"names"`
	NotAfter time.Time `json:"not_after"`
	Problem  string    `json:"problem,omitempty"` // what a client that verifies objects to
}

// A ProtocolReport is a host over one protocol.
type ProtocolReport struct {
	Protocol   wire.Protocol `json:"protocol"`
	Address    string        `json:"address"`
	TLS        string        `json:"tls,omitempty"` // the version
	ClientAuth ClientAuth    `json:"client_auth,omitempty"`
	Status     int           `json:"status"` // without a client certificate; 0: no answer
	StatusWith int           `json:"status_with_certificate,omitempty"`
	Failure    wire.Failure  `json:"failure,omitempty"`
	Detail     string        `json:"detail,omitempty"`
	Origins    []string      `json:"origin_set" jsonschema:"nullable"` // null: no ORIGIN frame
}

// A Summary counts.
type Summary struct {
	Hosts       int            `json:"hosts"`
	Unreachable int            `json:"unreachable"`
	Pairs       int            `json:"pairs"`
	Coalescible int            `json:"coalescible"` // of the pairs
	Findings    int            `json:"findings"`
	BySeverity  map[string]int `json:"by_severity"`
	Worst       string         `json:"worst,omitempty"` // severity; empty: no finding
	Known       int            `json:"known"`           // findings that a baseline has, left out
	Seconds     float64        `json:"seconds"`
}

// Probe does the whole run. The error is ctx's, with what was found so far.
func Probe(ctx context.Context, targets []Target, o Options) (*Report, error) {
	began := time.Now()
	p := newProber(o)
	hosts, err := p.survey(ctx, targets)
	if o.FromCert && err == nil {
		hosts, err = p.further(ctx, hosts)
	}
	var seen []*Observation
	if err == nil {
		seen, err = p.run(ctx, Plan(hosts, o))
	}
	r := NewReport(hosts, Judge(hosts, seen, o), o, time.Now())
	r.Summary.Seconds = time.Since(began).Seconds()
	return r, err
}

// MostFromCert is how many hosts Options.FromCert adds.
const MostFromCert = 200

// further adds the hosts that certificates name. Wildcards name none.
func (p *prober) further(ctx context.Context, hosts []*Host) ([]*Host, error) {
	known := map[Target]bool{}
	for _, h := range hosts {
		known[h.Target] = true
	}
	for next, added := hosts, 0; len(next) > 0; {
		targets := namedBy(next, known)
		targets = targets[:min(len(targets), MostFromCert-added)]
		added += len(targets)
		fresh, err := p.survey(ctx, targets)
		hosts = append(hosts, fresh...)
		if err != nil {
			return hosts, err
		}
		next = fresh
	}
	return hosts, nil
}

// namedBy returns the targets that the certificates of hosts name, on the port of the host, that were not known; they are then.
func namedBy(hosts []*Host, known map[Target]bool) (list []Target) {
	for _, h := range hosts {
		if h.Leaf() == nil {
			continue
		}
		for _, name := range NamesOf(h.Leaf()) {
			t, err := ParseTarget(name)
			if err != nil {
				continue // a wildcard, or no host at all
			}
			t = Target{t.WithPort(h.Port())}
			if !known[t] {
				known[t] = true
				list = append(list, t)
			}
		}
	}
	return list
}

// NewReport puts together what reports show. Certificates are judged by now.
func NewReport(hosts []*Host, j Judgement, o Options, now time.Time) *Report {
	o = o.withDefaults()
	r := &Report{Pairs: j.Pairs, Findings: j.Findings}
	for _, h := range hosts {
		r.Hosts = append(r.Hosts, hostReport(h, &o, now))
	}
	r.Count()
	return r
}

// Count fills the summary in again, after findings were left out.
func (r *Report) Count() {
	s := Summary{Hosts: len(r.Hosts), Pairs: len(r.Pairs), Findings: len(r.Findings), BySeverity: map[string]int{}, Known: r.Summary.Known, Seconds: r.Summary.Seconds}
	for i := range r.Hosts {
		if r.Hosts[i].Unreachable != "" {
			s.Unreachable++
		}
	}
	for i := range r.Pairs {
		if r.Pairs[i].Coalescible {
			s.Coalescible++
		}
	}
	worst := Info
	for i := range r.Findings {
		s.BySeverity[r.Findings[i].Severity.String()]++
		worst = max(worst, r.Findings[i].Severity)
	}
	if len(r.Findings) > 0 {
		s.Worst = worst.String()
	}
	r.Summary = s
}

func hostReport(h *Host, o *Options, now time.Time) HostReport {
	r := HostReport{Name: h.Name(), Addresses: []string{}, Protocols: []ProtocolReport{}, ClientAuth: AuthNone}
	for _, a := range h.Addresses {
		r.Addresses = append(r.Addresses, a.String())
	}
	if h.Failure != "" {
		r.Unreachable = clean(string(h.Failure) + ": " + h.Detail)
	}
	switch {
	case h.Protected():
		r.ClientAuth = AuthRequired
	case h.perhaps():
		r.ClientAuth = AuthUnclear
	case h.Asks():
		r.ClientAuth = AuthOptional
	}
	for _, proto := range o.Protocols {
		own := h.Own[proto]
		if own == nil {
			continue
		}
		r.Protocols = append(r.Protocols, protocolReport(proto, own))
		if leaf := own.Facts.Leaf(); leaf != nil && r.Certificate == nil {
			r.Certificate = &Certificate{Fingerprint(leaf), NamesOf(leaf), leaf.NotAfter, clean(trouble(own.Facts.Chain, h.Target, o.Roots, now))}
		}
		for _, list := range []Baseline{own.Plain, own.Shown} {
			if a, ok := list.Good(); ok && r.Server == "" {
				r.Server = clean(a.Field("server"))
			}
		}
	}
	return r
}

func protocolReport(proto wire.Protocol, own *Own) ProtocolReport {
	r := ProtocolReport{Protocol: proto, Address: own.Address.String(), Failure: own.Failure, Detail: clean(own.Detail)}
	if own.Facts.Version != 0 {
		r.TLS = tls.VersionName(own.Facts.Version)
		if own.Failure != wire.NoProtocol {
			r.ClientAuth = own.ClientAuth()
		}
	}
	if a, ok := own.Plain.Good(); ok {
		r.Status = a.Status
	} else if len(own.Plain) > 0 {
		r.Failure, r.Detail = own.Plain[0].Failure, clean(own.Plain[0].Detail)
	}
	if a, ok := own.Shown.Good(); ok {
		r.StatusWith = a.Status
	}
	if own.Origins != nil {
		r.Origins = []string{}
		for _, origin := range own.Origins.Origins {
			r.Origins = append(r.Origins, origin.String())
		}
	}
	return r
}
