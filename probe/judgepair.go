package probe

import (
	"slices"

	"github.com/usher-http/usher/probe/wire"
)

type pairKey struct {
	connection, host Target
	protocol         wire.Protocol
}

// A refusal is a 421 where reuse was legal.
type refusal struct {
	pair  int // index in list
	x     *Observation
	ask   *Ask
	reply *Reply
}

// entitled reports whether the client has shown a certificate on the connection that the host takes on its own.
func entitled(f wire.Facts, session bool, h *Host) bool {
	return (f.Shown || session) && h.Accepted()
}

func (j *judge) reuse(x *Observation) {
	for i := range x.Asks {
		ask := &x.Asks[i]
		pair := Pair{Connection: x.From.Name(), Host: ask.Host.Name(), Protocol: x.Protocol, Address: x.Address.String(),
			Certificate: x.Certificate, Covered: ask.Covered, Coalescible: ask.Coalescible, Reasons: ask.Reasons}
		reply := &x.Replies[i]
		switch {
		case x.Failure != "":
			pair.Outcome, pair.Failure = NoConnection, x.Failure
		case reply.Status == 0 && reply.Failure == "":
			pair.Outcome = NoConnection
		default:
			pair.Status, pair.Failure = reply.Status, reply.Failure
			pair.Content = content(&reply.Answer, x.From, ask.Host, x.Protocol)
			j.pair(x, ask, reply, &pair)
		}
		j.list = append(j.list, pair)
	}
}

// pair judges one answer. Findings are those of DESIGN's table: what is served must be covered and entitled, what is refused must be
// refused with 421.
func (j *judge) pair(x *Observation, ask *Ask, reply *Reply, p *Pair) {
	a := &reply.Answer
	e := evidence{check: x.Check, protocol: x.Protocol, address: x.Address, from: x.From, host: ask.Host, request: ask.Request,
		facts: reply.Facts, reply: a, content: p.Content, coalescible: p.Coalescible, covered: p.Covered, shown: x.Certificate}
	locked := ask.Host.Protected() && !entitled(reply.Facts, false, ask.Host)
	switch {
	case a.Fallback():
		p.Outcome = Refused // clients come back on a connection of another protocol
	case a.OK() && a.Status == 421:
		p.Outcome = Refused
		j.refused(x, ask, reply, p, e, locked)
	case served(a):
		j.servedPair(p, e, locked)
	default:
		j.failedPair(p, e, locked)
	}
}

func (j *judge) refused(x *Observation, ask *Ask, reply *Reply, p *Pair, e evidence, locked bool) {
	j.hygiene(e, reply)
	switch {
	case slices.Contains(ask.Reasons, ByOriginSet):
		e.check, e.note = CheckOrigin, "421, though the connection's ORIGIN frame lists the host"
		j.find(e, Origin, Medium)
	case p.Coalescible && !locked && !ask.Host.Asks():
		key := pairKey{x.From.Target, ask.Host.Target, x.Protocol}
		if j.pairs[key] == nil {
			j.pairs[key] = &refusal{len(j.list), x, ask, reply}
			j.order = append(j.order, key)
		}
	}
}

func (j *judge) servedPair(p *Pair, e evidence, locked bool) {
	switch {
	case locked && (p.Content == OfHost || j.unknown(&e)):
		p.Outcome = Open
		j.find(e, Bypass, Critical)
	case p.Content == OfUnsure, e.host.perhaps() && success(e.reply) && p.Content == OfNobody && j.stranger(&e) != Same, locked && p.Content == OfNobody && (!success(e.reply) || j.stranger(&e) == Unsure):
		p.Outcome = CannotTell
	case !p.Covered:
		p.Outcome = NotCovered
		severity := Low
		if p.Content == OfHost {
			severity = Medium
		}
		j.find(e, Uncovered, severity)
	case p.Content == OfConnection || p.Content == OfNobody || locked:
		p.Outcome = Wrong
		severity := Medium
		if p.Coalescible {
			severity = High
		}
		j.find(e, WrongContent, severity)
	default:
		p.Outcome = Served
	}
}

// failedPair judges an answer that is an error, or none.
func (j *judge) failedPair(p *Pair, e evidence, locked bool) {
	own := e.host.own(e.protocol)
	alike := e.host.late() || e.facts.Asked && e.facts.Issuers == own.Facts.Issuers // whoever has no certificate is no better off on an own connection
	good, known := own.Plain.Good()
	switch {
	case e.reply.Failure == wire.Timeout || e.reply.Status == 429 || e.reply.Status == 503: // later it may be another one
		p.Outcome = CannotTell
	case (!locked || alike) && known && good.Status == e.reply.Status && (p.Content == OfHost || p.Content == OfBoth):
		p.Outcome = Served // the host's own error
	case e.host.late() && e.reply.Failure == wire.Alert:
		p.Outcome = CannotTell // it asked for a certificate, as on a connection of its own
	case !locked && (!known || good.Status >= 400 && good.Status == e.reply.Status):
		p.Outcome = CannotTell
	default:
		p.Outcome = Broken
		severity := Low
		if p.Coalescible {
			severity = High
		}
		j.find(e, NotRetried, severity)
	}
}

// overStrict looks at the legal reuse that was refused. A server that compares names refuses both ways; where the other way is served, the
// host seems to want connections of its own, which is its right.
func (j *judge) overStrict() {
	for _, key := range j.order {
		r := j.pairs[key]
		pair := &j.list[r.pair]
		if j.pairs[pairKey{key.host, key.connection, key.protocol}] == nil {
			pair.Outcome = OwnOnly
			continue
		}
		pair.Outcome = TooStrict
		j.find(evidence{check: CheckReuse, protocol: r.x.Protocol, address: r.x.Address, from: r.x.From, host: r.ask.Host, request: r.ask.Request,
			facts: r.reply.Facts, reply: &r.reply.Answer, coalescible: true, covered: true}, OverStrict, Info)
	}
}

// listed judges what an ORIGIN set lists beside the hosts that were named.
func (j *judge) listed(x *Observation) {
	for i := range x.Asks {
		e := evidence{check: CheckOrigin, protocol: x.Protocol, address: x.Address, from: x.From, request: x.Asks[i].Request,
			facts: x.Replies[i].Facts, reply: &x.Replies[i].Answer, covered: x.Asks[i].Covered}
		switch {
		case e.reply.Status == 421:
			e.note = "421, though the connection's ORIGIN frame lists it"
			j.find(e, Origin, Medium)
		case !e.covered:
			e.note = "the connection's ORIGIN frame lists it, but the certificate does not cover it"
			j.find(e, Origin, Low)
		}
	}
}
