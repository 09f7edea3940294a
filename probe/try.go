package probe

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// try is a command that shows the same: curl's where curl can, else openssl's; empty where neither can.
func (e *evidence) try(method string) string {
	method = or(e.request.Method, method)
	switch {
	case e.reply == nil || e.host == nil && e.from == nil:
		return ""
	case e.resumed && e.from != nil:
		return e.trySession(method)
	case e.check == CheckSNI:
		return e.tryHandshake(method)
	case e.from != nil:
		return e.tryRequest(method)
	}
	return ""
}

// tryRequest is curl's command for a request on an ordinary connection.
func (e *evidence) tryRequest(method string) string {
	version := map[wire.Protocol]string{wire.H1: "--http1.1", wire.H2: "--http2", wire.H3: "--http3-only"}[e.protocol]
	flags := "-sik"
	if method == "HEAD" {
		flags = "-sIk"
	}
	if strings.ContainsAny(e.request.Path, "[]{}") {
		flags += "g" // they are no patterns of curl's
	}
	base := fmt.Sprintf("curl %s %s --connect-to ::%s:%d", flags, version, bracketed(e.address.Addr()), e.address.Port())
	if e.shown {
		base += " --cert CERT --key KEY"
	}
	url := quoted("https://" + e.from.Name() + e.request.Path)
	switch e.kind {
	case "", Plain, UnknownAuthority, ForeignPort, TrailingDot, Userinfo, Storable, AltSvc, Version, Names, Unusable:
		if e.host == e.from && e.kind == "" {
			return base + " " + url
		}
		return fmt.Sprintf("%s -H 'Host: %s' %s", base, e.request.Authority, url)
	case AbsoluteForm, HTTPInside:
		if e.protocol == wire.H1 {
			return fmt.Sprintf("%s -H 'Host: %s' --request-target %s %s", base, e.request.Authority, quoted(e.request.Target), url)
		}
	case MissingHost:
		if e.protocol == wire.H1 {
			return fmt.Sprintf("%s -H 'Host:' %s", base, url)
		}
	case EmptyHost:
		if e.protocol == wire.H1 {
			return fmt.Sprintf("%s -H 'Host;' %s", base, url) // so curl writes a field without a value
		}
	case TwoHosts:
		if !e.shown {
			return e.openssl(method, e.from.SNI(), e.request.Hosts, " -quiet")
		}
	}
	return ""
}

// trySession makes a session under the one name and resumes it under the other. What is spoken inside, sessions do not know: HTTP/1.1 can be
// typed. The first answer is waited for, since under TLS 1.3 sessions come behind the handshake.
func (e *evidence) trySession(method string) string {
	if !e.typed(e.from) || !e.typed(e.host) {
		return ""
	}
	first := e.openssl(method, e.from.SNI(), []string{e.from.Name()}, ` -sess_out "$s" -quiet`)
	if e.shown {
		first += " -cert CERT -key KEY"
	}
	return fmt.Sprintf(`s=$(mktemp); %s >/dev/null 2>&1; %s; rm "$s"`, first, e.openssl(method, e.host.SNI(), []string{e.host.Name()}, ` -sess_in "$s" -ign_eof`))
}

// tryHandshake sends the odd server name as it is: curl would fold it, or send its own.
func (e *evidence) tryHandshake(method string) string {
	if e.host == nil || !e.typed(e.host) {
		return ""
	}
	return e.openssl(method, e.serverName, []string{e.host.Name()}, " -quiet")
}

// typed reports whether a host can be asked by a request that is typed into a TLS connection.
func (e *evidence) typed(h *Host) bool {
	o := h.Own[wire.H1]
	return e.protocol != wire.H3 && (o == nil || o.speaks()) // nil: was not tried
}

// openssl is a command that asks for hosts, one as a rule, over HTTP/1.1 and a connection made with this SNI.
func (e *evidence) openssl(method, sni string, hosts []string, more string) string {
	lines := quoted(method + " " + e.request.Path + " HTTP/1.1")
	for _, host := range hosts {
		lines += " " + quoted("Host: "+host)
	}
	name := "-noservername"
	if sni != "" {
		name = "-servername " + quoted(sni)
	}
	version := "-tls1_3"
	if e.facts.Version == tls.VersionTLS12 {
		version = "-tls1_2"
	}
	return fmt.Sprintf(`printf '%%s\r\n' %s 'Connection: close' '' | openssl s_client -connect %s:%d %s %s -alpn http/1.1%s`,
		lines, bracketed(e.address.Addr()), e.address.Port(), name, version, more)
}

// quoted is a word as a shell takes it.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
