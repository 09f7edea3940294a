package probe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"

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

// A spot is an address with a protocol; strangers are the pages that names which nobody has get there.
type spot struct {
	address  netip.AddrPort
	protocol wire.Protocol
}

// learn keeps what names that nobody has are answered with. Pages that show the name are alike without it.
func (j *judge) learn(seen []*Observation) {
	for _, x := range seen {
		if x == nil || x.Check != CheckParse {
			continue
		}
		for i := range x.Asks {
			if a := x.Replies[i].Answer; x.Asks[i].Kind == UnknownAuthority && a.OK() {
				key := spot{x.Address, x.Protocol}
				j.strangers[key] = append(j.strangers[key], nameless(a, unknownName))
			}
		}
	}
}

// unknown reports whether an answer is 2xx with content that nobody has shown before: neither host on its own connection, nor the page that
// names get which nobody has.
func (j *judge) unknown(e *evidence) bool {
	return success(e.reply) && e.content == OfNobody && j.stranger(e) == Different
}

// stranger tells whether an answer is the page that names get which nobody has.
func (j *judge) stranger(e *evidence) Likeness {
	a := nameless(*e.reply, or(nameOf(e.host), e.request.Authority))
	return j.strangers[spot{e.address, e.protocol}].Like(&a)
}

// nameless is an answer without the name that was asked for, which default pages like to show.
func nameless(a wire.Answer, name string) wire.Answer {
	host, _, _ := strings.Cut(name, ":")
	if body := bytes.ReplaceAll(a.Body, []byte(host), nil); host != "" && len(body) < len(a.Body) {
		a.Body, a.Size, a.Digest = body, int64(len(body)), sha256.Sum256(body)
	}
	return a
}

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

// success is 2xx.
func success(a *wire.Answer) bool { return a.OK() && a.Status >= 200 && a.Status < 300 }

// served is 2xx and 3xx.
func served(a *wire.Answer) bool { return a.OK() && a.Status < 400 }

// content tells whose content an answer is, of b's who was asked for and a's whose connection it is; a may be nil.
func content(x *wire.Answer, a, b *Host, proto wire.Protocol) Content {
	if !x.OK() {
		return NoContent
	}
	exactB, likeB := compare(x, b, proto)
	exactA, likeA := compare(x, a, proto)
	switch {
	case exactA && exactB:
		return OfBoth
	case exactB:
		return OfHost
	case exactA:
		return OfConnection
	case likeA == Same && likeB == Same:
		return OfBoth
	case likeB == Same:
		return OfHost
	case likeB == Unsure:
		return OfUnsure
	case likeA == Same:
		return OfConnection
	case likeA == Unsure:
		return OfUnsure
	}
	return OfNobody
}

func compare(x *wire.Answer, h *Host, proto wire.Protocol) (exact bool, best Likeness) {
	if h == nil {
		return false, Different
	}
	o := h.own(proto)
	if o == nil {
		return false, Different
	}
	for _, list := range []Baseline{o.Plain, o.Shown} {
		exact = exact || list.exact(x)
		best = max(best, list.Like(x))
	}
	return exact, best
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

// resume judges an answer on a resumed session of another host.
func (j *judge) resume(x *Observation) {
	if x.Failure != "" || len(x.Replies) == 0 || !x.Replies[0].Facts.Resumed {
		return
	}
	ask, reply := &x.Asks[0], &x.Replies[0]
	a := &reply.Answer
	e := evidence{check: x.Check, protocol: x.Protocol, address: x.Address, from: x.Session, host: ask.Host, request: ask.Request, facts: reply.Facts,
		reply: a, content: content(a, x.Session, ask.Host, x.Protocol), covered: ask.Covered, shown: x.Certificate, resumed: true}
	if ask.Host.guarded() && !entitled(reply.Facts, x.Certificate, ask.Host) {
		if ask.Host.Protected() && (j.unknown(&e) || served(a) && e.content == OfHost) {
			j.find(e, Bypass, Critical)
		} else {
			j.doubt(&e, Different, "a session of "+x.Session.Name())
		}
		return
	}
	if reply.Facts.Version == tls.VersionTLS12 && !ask.Covered && served(a) && !ask.Host.IsIP() { // an address has no SNI that could differ
		j.find(e, Uncovered, Low)
	}
}

// sni judges connections with odd server names.
func (j *judge) sni(x *Observation) {
	e := evidence{check: x.Check, kind: x.Kind, protocol: x.Protocol, address: x.Address, from: x.From, facts: x.Facts, serverName: x.ServerName}
	if x.Kind == AddressSNI {
		if x.Failure == wire.Timeout || x.Failure == wire.Garbage {
			e.note = "neither a ServerHello nor an alert: " + x.Detail
			j.find(e, Parse, Info)
		}
		return
	}
	if x.Failure != "" {
		o := x.upperOwn()
		if o != nil && o.Failure == "" && o.ClientAuth() != AuthRequired && x.Failure == wire.Alert {
			e.host, e.note = x.From, "the handshake ended with the alert "+x.Detail
			j.find(e, Parse, Low)
		}
		return
	}
	for i := range x.Asks {
		ask, a := &x.Asks[i], &x.Replies[i].Answer
		e.host, e.request, e.reply, e.facts = ask.Host, ask.Request, a, x.Replies[i].Facts
		e.content = content(a, nil, ask.Host, x.Protocol)
		e.covered = Covers(e.facts.Leaf(), ask.Host.Target)
		switch {
		case ask.Host.guarded():
			others := j.likeOthers(a, ask.Host, x.Protocol)
			if ask.Host.Protected() && (success(a) && e.content == OfHost || j.unknown(&e) && others == Different) {
				j.find(e, Bypass, Critical)
			} else {
				j.doubt(&e, others, oddConnection(x.From, x.Kind))
			}
		case x.Kind == UpperSNI && a.OK() && e.content == OfNobody:
			if good, ok := ask.Host.own(x.Protocol).Plain.Good(); ok && good.OK() {
				j.find(e, Parse, Low)
			}
		}
	}
}

// upperOwn is the own connection of the host whose name stands in upper case.
func (x *Observation) upperOwn() *Own {
	if x.Kind != UpperSNI || x.From == nil {
		return nil
	}
	return x.From.Own[x.Protocol]
}

// likeOthers tells how like an answer is to that of any other host: on a connection that is nobody's the default site answers often.
func (j *judge) likeOthers(a *wire.Answer, but *Host, proto wire.Protocol) (best Likeness) {
	for _, h := range j.hosts {
		if h != but {
			_, l := compare(a, h, proto)
			best = max(best, l)
		}
	}
	return best
}

// oddConnection says whose connection it is where its server name, or the request, is odd.
func oddConnection(from *Host, kind Kind) string {
	return or(nameOf(from), "nobody") + " (" + strings.ReplaceAll(string(kind), "-", " ") + ")"
}

// doubt keeps an answer of a host that is or may be protected, and that was no finding, as a pair that is unsure, if it may be that host's
// content all the same: others is how like it is to that of hosts who are not asked.
func (j *judge) doubt(e *evidence, others Likeness, connection string) {
	switch {
	case !success(e.reply), e.content != OfUnsure && e.content != OfNobody:
		return
	case e.content == OfUnsure, others == Unsure:
	case others == Same, j.stranger(e) == Same, j.stranger(e) == Different && !e.host.perhaps():
		return
	}
	j.unsure(e, connection)
}

func (j *judge) unsure(e *evidence, connection string) {
	j.list = append(j.list, Pair{Connection: connection, Host: e.host.Name(), Protocol: e.protocol, Address: e.address.String(), Certificate: e.shown,
		Covered: e.covered, Reasons: []string{}, Status: e.reply.Status, Outcome: CannotTell, Content: e.content})
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
