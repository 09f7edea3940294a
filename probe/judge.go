package probe

import (
	"cmp"
	"slices"

	"github.com/usher-http/usher/probe/wire"
)

// A Judgement is what the observations mean.
type Judgement struct {
	Pairs    []Pair
	Findings []Finding // the worst first
}

// Judge makes findings of what was seen. It asks nobody, and says the same of the same observations. What it learns of the hosts' client
// authentication is kept in them.
func Judge(hosts []*Host, seen []*Observation, o Options) Judgement {
	j := &judge{Options: o.withDefaults(), hosts: hosts, pairs: map[pairKey]*refusal{}, once: map[string]bool{}, strangers: map[spot]Baseline{}}
	j.learn(seen)
	j.walls(seen)
	for _, h := range hosts {
		j.own(h)
	}
	for _, x := range seen {
		if x == nil {
			continue
		}
		switch x.Check {
		case CheckReuse:
			j.reuse(x)
		case CheckResume:
			j.resume(x)
		case CheckSNI:
			j.sni(x)
		case CheckParse:
			j.parse(x)
		case CheckOrigin:
			j.listed(x)
		}
	}
	j.overStrict()
	slices.SortStableFunc(j.findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return Judgement{j.list, j.findings}
}

type judge struct {
	Options
	hosts     []*Host
	list      []Pair
	findings  []Finding
	pairs     map[pairKey]*refusal
	order     []pairKey
	once      map[string]bool // hygiene, told once for a server
	strangers map[spot]Baseline
}

// own judges a host on its own connections.
func (j *judge) own(h *Host) {
	protected := h.Protected()
	for _, proto := range j.Protocols {
		o := h.Own[proto]
		if o == nil {
			continue
		}
		e := evidence{check: CheckOwn, protocol: proto, address: o.Address, from: h, host: h, request: wire.Request{Authority: h.Name()}, facts: o.Facts}
		j.ownSet(e, o)
		a, ok := o.Plain.Good()
		if !ok {
			continue
		}
		e.reply = &a
		if a.Status == 421 && Covers(o.Facts.Leaf(), h.Target) && o.ClientAuth() != AuthRequired {
			j.find(e, Loop, High)
		}
		if protected && o.ClientAuth() != AuthRequired && success(&a) && j.entry(h, o, &a) {
			j.find(e, Bypass, Critical)
		} else if h.perhaps() && o.ClientAuth() != AuthUnclear && success(&a) && j.entry(h, o, &a) {
			e.content = OfUnsure
			j.unsure(&e, h.Name()+" (its own)")
		}
	}
}

// entry reports whether an answer without a certificate opens a host that is protected over another protocol: it is what the host answers
// with one, or nobody knows what that is.
func (j *judge) entry(h *Host, o *Own, a *wire.Answer) bool {
	known := false
	for _, other := range h.Own {
		if other == o {
			continue
		}
		if _, ok := other.Shown.Good(); ok {
			known = true
			if other.Shown.Like(a) != Different {
				return true
			}
		}
	}
	return !known
}

func (j *judge) ownSet(e evidence, o *Own) {
	if o.Origins == nil {
		return
	}
	e.check = CheckOrigin
	switch {
	case o.Origins.Error != "":
		e.note = "an ORIGIN frame that cannot be parsed: " + o.Origins.Error
		j.find(e, Origin, Medium)
	case o.Origins.Bad > 0:
		e.note = "an ORIGIN frame with " + counted(o.Origins.Bad, "entry that is no origin", "entries that are no origins")
		j.find(e, Origin, Low)
	case o.Origins.Ignored > 0:
		e.note = "an ORIGIN frame on another stream than 0 or with forbidden flags, which clients ignore"
		j.find(e, Origin, Info)
	}
}
