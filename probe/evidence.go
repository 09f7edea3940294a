package probe

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/usher-http/usher/probe/wire"
)

// evidence is what a finding is made of.
type evidence struct {
	check       Check
	kind        Kind
	protocol    wire.Protocol
	address     netip.AddrPort
	from, host  *Host // nil: nobody's, nobody who is known
	request     wire.Request
	serverName  string // for CheckSNI
	facts       wire.Facts
	reply       *wire.Answer // nil: nothing was asked
	content     Content
	note        string // in place of what the answer says
	coalescible bool
	covered     bool
	shown       bool // our client certificate, on the connection or on the one whose session it is
	resumed     bool
}

func (j *judge) find(e evidence, id ID, severity Severity) {
	e.request.Path = or(e.request.Path, j.Path)
	f := Finding{ID: id, Severity: severity, Check: e.check, Kind: e.kind, Protocol: e.protocol, Address: e.address.String(),
		Connection: nameOf(e.from), Host: nameOf(e.host), Sent: e.sent(j.method()), Got: e.got()}
	if e.host == nil {
		f.Host = e.request.Authority
		if len(e.request.Hosts) > 0 && f.Host == "" {
			f.Host = e.request.Hosts[0]
		}
	}
	w := wordsFor(id, &e)
	f.Why, f.RFC, f.Cure = w.why, w.rfc, w.cure
	f.Server = or(j.Server, serverOf(&e))
	f.Snippet = snippet(f.Server, id, &e)
	f.Try = e.try(j.method())
	for _, text := range []*string{&f.Host, &f.Sent, &f.Got, &f.Try} {
		*text = clean(*text)
	}
	f.Key = f.key()
	for i := range j.findings {
		if j.findings[i].Key == f.Key {
			return // seen with and without a certificate, or in two versions of TLS
		}
	}
	j.findings = append(j.findings, f)
}

// clean replaces control characters: what a server says goes to terminals.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Cf, r) {
			return '.'
		}
		return r
	}, s)
}

func nameOf(h *Host) string {
	if h == nil {
		return ""
	}
	return h.Name()
}

// sent says what was sent, and on which connection.
func (e *evidence) sent(method string) string {
	where := fmt.Sprintf("on %s connection to %s %s", article(e.protocol), e.address, e.connection())
	if e.reply == nil && e.check == CheckSNI {
		return fmt.Sprintf("a handshake with %s %s", e.address, e.connection())
	}
	if e.reply == nil {
		return "nothing but the handshake, " + where
	}
	return e.line(or(e.request.Method, method)) + " " + where
}

func article(p wire.Protocol) string { return "an " + p.String() }

// connection says how the connection was made.
func (e *evidence) connection() string {
	var notes []string
	switch {
	case e.check == CheckSNI && e.serverName == "":
		notes = append(notes, "without SNI")
	case e.check == CheckSNI:
		notes = append(notes, fmt.Sprintf("with SNI %q", e.serverName))
	case e.resumed:
		notes = append(notes, fmt.Sprintf("with SNI %q, by a session of %s", e.host.SNI(), e.from.Name()))
	case e.from != nil:
		notes = append(notes, "made for "+e.from.Name())
	}
	if e.resumed || e.facts.Version == tls.VersionTLS12 {
		notes = append(notes, tls.VersionName(e.facts.Version))
	}
	switch {
	case e.shown:
		notes = append(notes, "with our client certificate")
	case e.host != nil && e.host.Asks():
		notes = append(notes, "without a client certificate")
	}
	return strings.Join(notes, ", ")
}

// line is the request as it went out, shortened.
func (e *evidence) line(method string) string {
	r := &e.request
	path := r.Path
	switch e.kind {
	case MissingHost:
		return method + " " + path + " without any host"
	case TwoHosts:
		return fmt.Sprintf("%s %s with two Host fields, %s", method, path, strings.Join(r.Hosts, " and "))
	case HostConflict:
		return fmt.Sprintf("%s %s with :authority %s and Host %s", method, path, r.Authority, strings.Join(r.Hosts, ", "))
	case AbsoluteForm:
		return fmt.Sprintf("%s %s with Host %s", method, r.Target, r.Authority)
	case EmptyHost:
		return fmt.Sprintf("%s %s with an empty host", method, path)
	case HTTPInside:
		return fmt.Sprintf("%s http://%s%s", method, r.Authority, path)
	case OptionsStar:
		return "OPTIONS * for " + r.Authority
	}
	return fmt.Sprintf("%s https://%s%s", method, r.Authority, path)
}

// got says what came back.
func (e *evidence) got() string {
	if e.note != "" {
		return e.note
	}
	if e.reply == nil {
		return ""
	}
	text := describe(e.reply)
	switch e.content {
	case OfHost:
		text += ", the content of " + nameOf(e.host)
	case OfConnection:
		text += ", the content of " + nameOf(e.from)
	case OfBoth:
		if e.from == e.host {
			text += ", its own content"
		} else {
			text += ", content that both hosts have"
		}
	case OfNobody:
		if e.reply.OK() && e.reply.Status < 400 {
			text += ", content of neither"
			if e.from == nil || e.from == e.host || e.resumed {
				text = strings.Replace(text, "content of neither", "other content than known", 1)
			}
		}
	}
	return text
}

// describe is an answer in a few words.
func describe(a *wire.Answer) string {
	switch {
	case a.Failure == wire.Alert:
		return "the alert " + a.Detail
	case a.Failure != "":
		return strings.TrimSuffix(string(a.Failure)+": "+a.Detail, ": ")
	}
	size := counted(int(a.Size), "byte", "bytes")
	if a.Truncated {
		size = "more than " + size
	}
	return fmt.Sprintf("%d, %s", a.Status, size)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
