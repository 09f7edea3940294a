package probe

import (
	"crypto/tls"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

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
