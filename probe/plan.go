package probe

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/probe/wire"
)

// A Check is a part of a run.
type Check string

const (
	CheckOwn    Check = "own"    // a host on its own connection
	CheckReuse  Check = "reuse"  // another host's request on a connection
	CheckResume Check = "resume" // another host's session, resumed
	CheckSNI    Check = "sni"    // connections without SNI, with an unknown one, in upper case, with an IP literal
	CheckParse  Check = "parse"  // authorities that are malformed, or said twice
	CheckOrigin Check = "origin" // what an ORIGIN frame lists
)

// A Kind says what is odd about a request or a connection.
type Kind string

const (
	Plain            Kind = "another-host"
	UnknownAuthority Kind = "unknown-authority"
	ForeignPort      Kind = "foreign-port"
	TrailingDot      Kind = "trailing-dot"
	Userinfo         Kind = "userinfo"
	EmptyHost        Kind = "empty-host"
	MissingHost      Kind = "missing-host"
	TwoHosts         Kind = "two-hosts"
	HostConflict     Kind = "host-against-authority"
	AbsoluteForm     Kind = "absolute-form"
	HTTPInside       Kind = "http-inside-tls"
	OptionsStar      Kind = "options-star"

	NoSNI      Kind = "no-sni"
	UnknownSNI Kind = "unknown-sni"
	UpperSNI   Kind = "upper-case-sni"
	AddressSNI Kind = "ip-literal-sni"
)

// A Step is a connection to make and what to ask on it, in this order. If the connection ends, the rest is asked on another one like it.
type Step struct {
	Check       Check
	Kind        Kind // of the connection, for CheckSNI
	Protocol    wire.Protocol
	Address     netip.AddrPort
	From        *Host // whose connection it is; nil: nobody's
	ServerName  string
	Version     uint16
	Certificate bool  // show the client certificate
	Session     *Host // whose session is resumed; nil: none is
	Asks        []Ask
}

// An Ask is one request on a connection.
type Ask struct {
	Kind        Kind
	Host        *Host // who is asked for; nil: nobody who is known
	Request     wire.Request
	Covered     bool // the connection's own certificate covers the host
	Coalescible bool // a browser might send this here
	Reasons     []string
}

// The reasons why a browser would share a connection.
const (
	ByAddress   = "same address"
	ByOriginSet = "listed in the ORIGIN set"
	ByAltSvc    = "same alternative service"
)

// unknownName is a host that nobody has (RFC 6761 section 6.4).
const unknownName = "usher-probe.invalid"

// Limits of what is planned for one address, beside Options.MaxPairs.
const (
	mostProtected = 10 // hosts behind client authentication that each odd connection is tried for
	mostUpper     = 10 // hosts that are tried in upper case
	mostOrigins   = 20 // origins of an ORIGIN set that are asked for though they were not named
)

// Plan says what is to be asked of the hosts. It asks nobody.
func Plan(hosts []*Host, o Options) []*Step {
	o = o.withDefaults()
	pl := &planner{Options: o}
	for _, h := range hosts {
		if h.Reachable() {
			pl.hosts = append(pl.hosts, h)
		}
	}
	for _, proto := range o.Protocols {
		pl.reuse(proto)
		pl.resume(proto)
		pl.names(proto)
		pl.parse(proto)
		pl.origins(proto)
	}
	return pl.steps
}

type planner struct {
	Options
	hosts []*Host
	steps []*Step
}

// open returns a step for a connection of a host's own, and whether there can be one. Hosts that refuse it without a certificate need ours.
func open(check Check, h *Host, proto wire.Protocol, shown bool) (*Step, bool) {
	o := h.Own[proto]
	if o == nil {
		return nil, false
	}
	list := o.Plain
	if shown {
		list = o.Shown
	}
	if _, ok := list.Good(); !ok || !shown && o.ClientAuth() == AuthRequired {
		return nil, false
	}
	return &Step{Check: check, Protocol: proto, Address: o.Address, From: h, ServerName: h.SNI(), Certificate: shown}, true
}

// at reports whether a host is at an address, over a protocol.
func at(h *Host, proto wire.Protocol, a netip.AddrPort) bool {
	if o := h.Own[proto]; o != nil && o.Address == a {
		return true
	}
	return slices.Contains(h.Addresses, a)
}

// reuse asks for each B on a connection of each A: where a browser would do it, where B wants client certificates, and for one pair of
// each pair of certificates else.
func (pl *planner) reuse(proto wire.Protocol) {
	pairs := 0
	sampled := map[[2]string]bool{}
	for _, a := range pl.hosts {
		for _, shown := range []bool{false, true} {
			step, ok := open(CheckReuse, a, proto, shown)
			if !ok {
				continue
			}
			wall := !shown && a.perhaps() // whom does it refuse? One who is open tells.
			for _, b := range pl.hosts {
				ask, wanted := reuseAsk(a, b, proto)
				if !wanted {
					continue
				}
				if shown && !b.Asks() && a.ClientAuth(proto) != AuthRequired {
					continue // tried without the certificate already
				}
				tells := wall && b.open()
				wall = wall && !tells
				if !ask.Coalescible && !b.guarded() && !tells {
					key := [2]string{certificateKey(a), certificateKey(b)}
					if sampled[key] {
						continue
					}
					sampled[key] = true
				}
				if pairs++; pairs > pl.MaxPairs {
					break
				}
				step.Asks = append(step.Asks, ask)
			}
			pl.add(step)
		}
	}
}

// ClientAuth is what the host wants over one protocol.
func (h *Host) ClientAuth(proto wire.Protocol) ClientAuth {
	if o := h.Own[proto]; o != nil {
		return o.ClientAuth()
	}
	return AuthNone
}

func certificateKey(h *Host) string {
	if leaf := h.Leaf(); leaf != nil {
		return Fingerprint(leaf)
	}
	return ""
}

// reuseAsk is B's request on A's connection; not wanted where B is elsewhere and nothing leads it here.
func reuseAsk(a, b *Host, proto wire.Protocol) (Ask, bool) {
	if a.Target == b.Target {
		return Ask{}, false
	}
	own := a.Own[proto]
	ask := Ask{Kind: Plain, Host: b, Request: wire.Request{Authority: b.Name()}, Covered: Covers(own.Facts.Leaf(), b.Target)}
	here := at(b, proto, own.Address)
	if here {
		ask.Reasons = append(ask.Reasons, ByAddress)
	}
	if own.Origins.Lists(b.Target) {
		ask.Reasons = append(ask.Reasons, ByOriginSet)
	}
	if proto == wire.H3 && here && b.Own[proto] != nil && own.Address.Port() != a.Port() {
		ask.Reasons = append(ask.Reasons, ByAltSvc)
	}
	ask.Coalescible = proto != wire.H1 && ask.Covered && len(ask.Reasons) > 0
	return ask, len(ask.Reasons) > 0
}

func (pl *planner) add(s *Step) {
	if len(s.Asks) > 0 {
		pl.steps = append(pl.steps, s)
	}
}

// resume presents a session of A for each B that wants client certificates, and one of each certificate for another under TLS 1.2, where
// RFC 6066 section 3 forbids it.
func (pl *planner) resume(proto wire.Protocol) {
	versions := []uint16{tls.VersionTLS12, tls.VersionTLS13}
	if proto == wire.H3 {
		versions = versions[1:]
	}
	tried := map[[2]string]bool{}
	pairs := 0
	for _, a := range pl.hosts {
		for _, b := range pl.hosts {
			if proto == wire.H1 && a.Own[wire.H2].speaks() && b.Own[wire.H2].speaks() {
				continue // sessions do not know what is spoken inside: HTTP/2 is enough
			}
			ask, wanted := Ask{}, false
			if a.Own[proto] != nil {
				ask, wanted = reuseAsk(a, b, proto)
			}
			key := [2]string{certificateKey(a), certificateKey(b)}
			switch {
			case !wanted || !slices.Contains(ask.Reasons, ByAddress):
				continue
			case !b.guarded() && (ask.Covered || tried[key] || proto == wire.H3):
				continue
			}
			tried[key] = tried[key] || !b.guarded()
			for _, version := range versions {
				if !b.guarded() && version == tls.VersionTLS13 {
					continue
				}
				for _, shown := range []bool{false, true} {
					if shown && (b.Accepted() || !b.guarded()) {
						continue // B takes our certificate anyway
					}
					step, ok := open(CheckResume, a, proto, shown)
					if pairs++; !ok || pairs > pl.MaxPairs {
						continue
					}
					step.Session, step.From, step.ServerName, step.Version, step.Certificate = a, b, b.SNI(), version, false
					step.Certificate = shown
					step.Asks = []Ask{ask}
					pl.add(step)
				}
			}
		}
	}
}

// names tries odd server names at each address, for the hosts behind client authentication.
func (pl *planner) names(proto wire.Protocol) {
	for _, place := range pl.places(proto) {
		if proto == wire.H1 { // the handshake does not know what is spoken inside: HTTP/2 is enough
			place.hosts = slices.DeleteFunc(place.hosts, func(h *Host) bool { return h.Own[wire.H2].speaks() })
			if len(place.hosts) == 0 {
				continue
			}
		}
		var protected []Ask
		for _, h := range place.hosts {
			if h.guarded() && len(protected) < mostProtected {
				protected = append(protected, Ask{Kind: Plain, Host: h, Request: wire.Request{Authority: h.Name()}})
			}
		}
		for _, odd := range []struct {
			kind Kind
			sni  string
		}{{NoSNI, ""}, {UnknownSNI, unknownName}} {
			pl.add(&Step{Check: CheckSNI, Kind: odd.kind, Protocol: proto, Address: place.address, ServerName: odd.sni, Asks: protected})
		}
		for i, h := range place.hosts {
			if i >= mostUpper || h.IsIP() {
				continue
			}
			pl.add(&Step{Check: CheckSNI, Kind: UpperSNI, Protocol: proto, Address: place.address, From: h, ServerName: strings.ToUpper(h.SNI()),
				Asks: []Ask{{Kind: Plain, Host: h, Request: wire.Request{Authority: h.Name()}, Covered: Covers(h.Leaf(), h.Target)}}})
		}
		if proto != wire.H3 {
			pl.steps = append(pl.steps, &Step{Check: CheckSNI, Kind: AddressSNI, Protocol: proto, Address: place.address,
				ServerName: place.address.Addr().String()})
		}
	}
}

// A place is an address with the hosts that are there.
type place struct {
	address netip.AddrPort
	hosts   []*Host
}

func (pl *planner) places(proto wire.Protocol) (list []place) {
	for _, h := range pl.hosts {
		o := h.Own[proto]
		if !o.speaks() {
			continue
		}
		i := slices.IndexFunc(list, func(p place) bool { return p.address == o.Address })
		if i < 0 {
			i = len(list)
			list = append(list, place{address: o.Address})
		}
		list[i].hosts = append(list[i].hosts, h)
	}
	return list
}

// parse sends malformed and ambiguous authorities to each address, on a connection of the first host there that has one without a
// client certificate, or with ours where none has. Where there is a host behind client authentication, it is who an ambiguous one names.
func (pl *planner) parse(proto wire.Protocol) {
	for _, place := range pl.places(proto) {
		if step := firstOpen(place.hosts, proto); step != nil {
			step.Asks = parseAsks(step.From, other(place.hosts, step.From, proto), proto, pl.Path)
			pl.add(step)
		}
	}
}

func firstOpen(hosts []*Host, proto wire.Protocol) *Step {
	for _, shown := range []bool{false, true} {
		for _, h := range hosts {
			if step, ok := open(CheckParse, h, proto, shown); ok {
				return step
			}
		}
	}
	return nil
}

// other returns whom an ambiguous request names beside h: who wants client certificates, else who is covered, else anyone; nil: nobody.
func other(hosts []*Host, h *Host, proto wire.Protocol) (best *Host) {
	rank := -1
	for _, b := range hosts {
		r := 0
		switch {
		case b == h:
			continue
		case b.guarded():
			r = 2
		case Covers(h.Own[proto].Facts.Leaf(), b.Target):
			r = 1
		}
		if r > rank {
			best, rank = b, r
		}
	}
	return best
}

func parseAsks(h, other *Host, proto wire.Protocol, path string) []Ask {
	name, host := h.Name(), h.Host()
	port := h.Port()
	foreign := authority.Authority.WithPort(h.Authority, port%65535+1).String()
	dotted := host + "."
	if port != 443 {
		dotted = strings.Replace(name, host, dotted, 1)
	}
	second := unknownName
	if other != nil {
		second = other.Name()
	}
	asks := []Ask{
		{Kind: UnknownAuthority, Request: wire.Request{Authority: unknownName}},
		{Kind: UnknownAuthority, Request: wire.Request{Authority: unknownName}}, // again, to know its noise
		{Kind: ForeignPort, Host: h, Request: wire.Request{Authority: foreign}},
		{Kind: Userinfo, Host: h, Request: wire.Request{Authority: "user@" + name}},
		{Kind: EmptyHost, Host: h, Request: wire.Request{Authority: ""}},
	}
	if !h.IsIP() {
		asks = append(asks, Ask{Kind: TrailingDot, Host: h, Request: wire.Request{Authority: dotted}})
	}
	star := wire.Request{Method: "OPTIONS", Authority: name, Path: "*"}
	if proto == wire.H1 {
		return append(asks,
			Ask{Kind: MissingHost, Host: h, Request: wire.Request{Hosts: []string{}}},
			Ask{Kind: TwoHosts, Host: other, Request: wire.Request{Hosts: []string{name, second}}},
			Ask{Kind: AbsoluteForm, Host: other, Request: wire.Request{Authority: name, Target: "https://" + second + path}},
			Ask{Kind: HTTPInside, Host: h, Request: wire.Request{Authority: name, Target: "http://" + name + path}},
			Ask{Kind: OptionsStar, Host: h, Request: star})
	}
	return append(asks,
		Ask{Kind: MissingHost, Host: h, Request: wire.Request{NoAuthority: true}},
		Ask{Kind: HostConflict, Host: other, Request: wire.Request{Authority: name, Hosts: []string{second}}},
		Ask{Kind: HTTPInside, Host: h, Request: wire.Request{Authority: name, Scheme: "http"}},
		Ask{Kind: OptionsStar, Host: h, Request: star})
}

// origins asks for what an ORIGIN set lists beside the hosts that were named: those are asked for already.
func (pl *planner) origins(proto wire.Protocol) {
	for _, h := range pl.hosts {
		step, ok := open(CheckOrigin, h, proto, false)
		if !ok || h.Own[proto].Origins == nil {
			continue
		}
		for _, origin := range h.Own[proto].Origins.Origins {
			t := Target{origin.Authority()}
			known := slices.ContainsFunc(pl.hosts, func(b *Host) bool { return b.Target == t })
			if known || origin.Scheme() != authority.HTTPS || len(step.Asks) >= mostOrigins {
				continue
			}
			step.Asks = append(step.Asks, Ask{Kind: Plain, Request: wire.Request{Authority: t.Name()}, Covered: Covers(h.Leaf(), t), Reasons: []string{ByOriginSet}})
		}
		pl.add(step)
	}
}
