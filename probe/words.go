package probe

import (
	"regexp"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// words are what is said of a kind of finding.
type words struct{ why, rfc, cure string }

func wordsFor(id ID, e *evidence) words {
	switch id {
	case Bypass:
		return bypassWords(e)
	case WrongContent:
		return words{"The connection may carry this request, as far as any client can see, and gets another site's page for it: visitors see the wrong site, and caches keep it.",
			"RFC 9110 section 7.4, RFC 9113 section 9.1.1",
			"Choose the site by the request's host, not by the SNI; where this connection cannot serve the host, answer 421."}
	case Uncovered:
		return uncoveredWords(e)
	case NotRetried:
		return words{"Nothing but 421 tells a client that another connection would do: it takes this answer for the page's own" + broken(e) + ".",
			"RFC 9110 section 15.5.20", "Answer 421 to requests for hosts that this connection must not or cannot serve."}
	case OverStrict:
		return words{"The certificate covers the host, the address is the same and no client authentication is in the way: clients reuse the connection, are sent away, and open one more for each host.",
			"RFC 9113 section 9.1.1, RFC 9110 section 7.4",
			"Ask whether the certificate of the connection covers the request's host instead of comparing the host with the SNI."}
	case Hygiene:
		return hygieneWords(e)
	case Loop:
		return words{"The connection was made for this very host, with its SNI and a certificate that covers it: a client that retries elsewhere comes back here and gets the same.",
			"RFC 9110 section 15.5.20", "Serve the host on its own connections, or take its name out of DNS and certificate."}
	case Origin:
		return words{"Clients that honour ORIGIN frames send requests by them: what is listed and then refused, or cannot be read, costs a connection each time, and Firefox may go to and fro.",
			"RFC 8336 section 2, RFC 9412 section 2", "List what this connection serves, all of it and nothing else, or send no ORIGIN frame."}
	}
	return parseWords(e)
}

func broken(e *evidence) string {
	if e.coalescible {
		return ", and a visitor whose browser shares the connection sees a broken site"
	}
	return ""
}

func bypassWords(e *evidence) words {
	w := words{rfc: "RFC 9110 section 7.4, RFC 9113 section 9.2.3",
		cure: "Check, for each request, that the connection passed the client authentication of the site that is asked for; answer 421 where it did not."}
	switch {
	case e.resumed:
		w.why = "A session that was made without the client certificate opens the site: whoever can connect to the one host reads the other."
		w.rfc = "RFC 8446 section 4.2.11, RFC 6066 section 11.1"
		w.cure = "Give sites with different client authentication different ticket keys (and session caches), or switch tickets off for them."
	case e.check == CheckSNI:
		w.why = "The site wants a client certificate only where the SNI is its own name as it is configured: whoever leaves it out or writes it differently gets in."
		w.rfc = "RFC 6066 section 11.1"
	case e.check == CheckOwn:
		w.why = "The site wants a client certificate over one protocol and not over this one."
		w.cure = "Configure client authentication alike for all protocols of the site."
	default:
		w.why = "The site wants a client certificate on its own connections, and is open on this one: whoever can connect to the one host reads the other, without a certificate."
	}
	return w
}

func uncoveredWords(e *evidence) words {
	w := words{"The server answers for a host that the certificate of the connection does not cover: the client has no proof that it speaks for that host. A client that does not check sends it secrets of another site.",
		"RFC 9110 section 7.4", "Answer 421 where the certificate of the connection does not cover the request's host."}
	if e.kind == UnknownAuthority {
		w.why = "The server answers for a name that nobody has, with some site's page: whoever points a name at this address can show that site as his own (DNS rebinding), and caches can be filled with it."
		w.cure = "Have a default site that answers 421 (or 404) to hosts that are not configured."
	}
	if e.resumed {
		w.why = "A session of one host is resumed under the name of another, for which the client was never shown a certificate."
		w.rfc = "RFC 6066 section 3"
		w.cure = "Resume a session under the server name that it was made for, or give sites with different certificates different ticket keys."
	}
	return w
}

func hygieneWords(e *evidence) words {
	w := words{rfc: "RFC 9110 section 15.5.20"}
	switch e.kind {
	case Storable:
		w.why = "A 421 is an answer about one connection; a stored one is given to clients whose connection is right."
		w.rfc, w.cure = "RFC 9110 section 15.1, RFC 7540 section 9.1.2", "Send Cache-Control: no-store with each 421."
	case AltSvc:
		w.why = "Clients must ignore Alt-Svc in a 421; those that do not are sent to the place that just refused them."
		w.rfc, w.cure = "RFC 7838 section 6", "Leave Alt-Svc out of 421 answers."
	case Version:
		w.why = "Whoever asks for a wrong host learns what runs here."
		w.rfc, w.cure = "RFC 9110 section 10.2.4", "Leave the version out."
	case Names:
		w.why = "Whoever asks for a wrong host learns which other hosts are here."
		w.cure = "Name no hosts in the answer."
	case Unusable:
		w.why = "The other requests of the connection suffer from the one that was misdirected."
		w.cure = "Answer 421 and keep the connection."
	}
	return w
}

func parseWords(e *evidence) words {
	disagree := "Servers, proxies and caches on the way may each see another host in the request."
	switch e.kind {
	case ForeignPort:
		return words{"The port belongs to the origin: two origins get the same answer, and what is stored for the one is valid for the other.",
			"RFC 9110 section 4.3.1", "Answer 421 to authorities with a port that is not served here."}
	case TrailingDot:
		return words{"The name with a dot at its end is the same host, and gets another page.", "RFC 3986 section 3.2.2", "Drop one trailing dot before hosts are compared."}
	case Userinfo:
		return words{"A host with userinfo before it is malformed, and is served: what is behind the @, what is before it, or neither may decide. " + disagree,
			"RFC 9112 section 3.2, RFC 9113 section 8.3.1", "Answer 400 to an authority with userinfo."}
	case EmptyHost:
		return words{"An https URI with an empty host is invalid; here it gets some site's page.", "RFC 9110 section 4.2.2", "Answer 400 to an empty host."}
	case MissingHost:
		return words{"A request that says no host gets some site's page.", "RFC 9112 section 3.2, RFC 9113 section 8.3.1, RFC 9114 section 4.3.1", "Answer 400 to a request without a host."}
	case TwoHosts:
		return words{"A request with two Host fields is served. " + disagree, "RFC 9112 section 3.2", "Answer 400 to more than one Host field."}
	case HostConflict:
		return words{"Host differs from :authority, and the request is served. " + disagree, "RFC 9113 section 8.3.1, RFC 9114 section 4.3.1", "Treat a Host that differs from :authority as malformed: 400 or a stream error."}
	case AbsoluteForm:
		return words{"The target names one host, Host another one, and Host decided. " + disagree, "RFC 9112 section 3.2.2", "Let the host of an absolute-form target replace Host."}
	case HTTPInside:
		return words{"An http request inside TLS gets the https site: two origins get the same answer.", "RFC 9110 section 4.3.1", "Answer 421 to the scheme http on TLS connections."}
	case OptionsStar:
		return words{"OPTIONS * is a plain question about the server, and breaks something.", "RFC 9110 section 9.3.7", "Answer 200 or 204."}
	case UpperSNI:
		return words{"Server names are compared without regard to case; here the case decides which site's rules count.", "RFC 6066 section 3, RFC 4343 section 3", "Fold the SNI to lower case before it is looked up."}
	case AddressSNI:
		return words{"An IP address as server name is forbidden, yet some clients send it; they wait in vain.", "RFC 6066 section 3", "Treat it as an absent server name, or send the alert unrecognized_name."}
	}
	return words{}
}

// productOf finds the product in a Server field. Apache alone is httpd: Tomcat has called itself Apache-Coyote.
var productOf = regexp.MustCompile(`(?i)\b(nginx|haproxy|caddy|envoy|traefik|openresty|lighttpd)\b|^(apache)(?:/| \(|$)`)

// serverOf tells from the Server fields whose configuration may be at hand.
func serverOf(e *evidence) string {
	field := ""
	if e.reply != nil {
		field = e.reply.Field("server")
	}
	for _, h := range []*Host{e.from, e.host} {
		if field == "" {
			field = h.server()
		}
	}
	match := productOf.FindStringSubmatch(field)
	if match == nil {
		return ""
	}
	found := strings.ToLower(match[1] + match[2])
	if found == "openresty" {
		return "nginx"
	}
	return found
}

// server is the Server field of the host's own answers, without our certificate or with it.
func (h *Host) server() string {
	if h == nil {
		return ""
	}
	for _, p := range []wire.Protocol{wire.H2, wire.H1, wire.H3} {
		o := h.Own[p]
		if o == nil {
			continue
		}
		for _, list := range []Baseline{o.Plain, o.Shown} {
			if a, ok := list.Good(); ok && a.Field("server") != "" {
				return a.Field("server")
			}
		}
	}
	return ""
}

// Servers are those that there are snippets for.
func Servers() []string {
	return []string{"nginx", "apache", "haproxy", "lighttpd", "caddy", "envoy", "traefik", "go", "usher"}
}
