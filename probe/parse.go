package probe

import "github.com/usher-http/usher/probe/wire"

// parse judges what is answered to malformed and ambiguous authorities.
func (j *judge) parse(x *Observation) {
	if x.Failure != "" {
		return
	}
	for i := range x.Asks {
		ask, reply := &x.Asks[i], &x.Replies[i]
		if reply.Status == 0 && reply.Failure == "" {
			continue // never sent
		}
		host := ask.Host
		e := evidence{check: x.Check, kind: ask.Kind, protocol: x.Protocol, address: x.Address, from: x.From, host: host, request: ask.Request,
			facts: reply.Facts, reply: &reply.Answer, shown: x.Certificate}
		if ask.Kind == OptionsStar && i > 0 && reply.Failure != "" && reply.Failure == x.Replies[i-1].Failure {
			continue // as the plain request before: the server has gone away
		}
		if host != nil {
			e.content = content(&reply.Answer, x.From, host, x.Protocol)
			e.covered = Covers(reply.Facts.Leaf(), host.Target)
		} else if _, l := compare(&reply.Answer, x.From, x.Protocol); l == Same {
			e.content = OfConnection
		}
		if reply.Status == 421 {
			j.hygiene(e, reply)
		}
		guarded := ambiguous(ask.Kind) && host != nil && host.guarded() && !entitled(reply.Facts, false, host)
		if guarded && host.Protected() && (success(e.reply) && e.content == OfHost || j.unknown(&e)) {
			j.find(e, Bypass, Critical)
			continue
		}
		if guarded {
			j.doubt(&e, Different, oddConnection(x.From, ask.Kind))
		}
		if id, severity := parsed(ask.Kind, &e); id != "" {
			j.find(e, id, severity)
		}
	}
}

// parsed judges one answer; no finding is "".
func parsed(kind Kind, e *evidence) (ID, Severity) {
	a := e.reply
	switch kind {
	case UnknownAuthority:
		if success(a) {
			return Uncovered, Low
		}
	case ForeignPort:
		if success(a) {
			return Parse, Info
		}
	case TrailingDot:
		if success(a) && e.content == OfNobody {
			return Parse, Low
		}
	case Userinfo, EmptyHost:
		if success(a) {
			return Parse, Low
		}
	case MissingHost:
		if served(a) && e.protocol == wire.H1 {
			return Parse, Medium
		}
		if success(a) {
			return Parse, Low
		}
	case TwoHosts:
		if served(a) {
			return Parse, Medium
		}
	case HostConflict:
		switch {
		case served(a) && (e.content == OfHost || e.content == OfNobody):
			return Parse, Medium
		case served(a):
			return Parse, Low
		}
	case AbsoluteForm:
		if served(a) && e.content == OfConnection {
			return Parse, Medium
		}
	case HTTPInside:
		if success(a) {
			return Parse, Info
		}
	case OptionsStar:
		if a.Failure != "" || a.Status >= 500 && a.Status != 501 {
			return Parse, Info
		}
	}
	return "", 0
}

// ambiguous requests name two hosts.
func ambiguous(kind Kind) bool {
	return kind == TwoHosts || kind == HostConflict || kind == AbsoluteForm
}
