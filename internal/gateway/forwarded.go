package gateway

import (
	"strings"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// forward makes the fields of the upstream's request. Host, path and query stay as the client sent them. What clients say of other
// hops is theirs to invent: it is replaced by what this gateway knows, but for what a trusted gateway said, which is
// extended.
func (x *exchange) forward() {
	r, trusted := x.request, x.conn.Trusted
	var theirs message.Fields // what a trusted gateway said
	if trusted {
		theirs = append(theirs, r.Fields...)
	}
	certificates := usher.PassesClientCert(x.verdict, x.conn)
	f := r.Fields.Without(func(name string) bool {
		return name == "expect" || ours(name) || !certificates && (name == "client-cert" || name == "client-cert-chain")
	})
	proto := "http"
	if x.conn.Secure {
		proto = "https"
	}
	ip := x.client.ip
	f = append(f,
		extended(theirs, "forwarded", forwarded(ip, r.Authority, proto)),
		extended(theirs, "x-forwarded-for", ip),
		kept(theirs, "x-forwarded-host", r.Authority),
		kept(theirs, "x-forwarded-proto", proto),
		via(r))
	if s := x.verdict.Site; !trusted && x.client.certificate != "" && s != nil && s.ClientAuth != authority.None {
		f = append(f, message.Field{Name: "client-cert", Value: x.client.certificate})
	}
	r.Fields = f.Announcing(func(name string) bool { return http1.Trailing(name) && !forGateways(name) })
}

// ours reports whether a field is for gateways alone to send. Many a server takes Client_Cert for Client-Cert (RFC 3875 section
// 4.1.18 maps both to one variable), and PHP takes Client.Cert for it too, so the spellings with underscores and dots are ours as
// well, and nobody needs them.
func ours(name string) bool {
	if len(name) == 0 || name[0] != 'x' && name[0] != 'f' && name[0] != 'c' {
		return false
	}
	spelled := name
	if strings.IndexByte(name, '_') >= 0 || strings.IndexByte(name, '.') >= 0 {
		spelled = dashed.Replace(name)
	}
	switch {
	case strings.HasPrefix(spelled, "x-forwarded-"), spelled == "forwarded", spelled == "x-real-ip":
		return true
	}
	// Under their proper names the guard decides about these.
	return spelled != name && (spelled == "client-cert" || spelled == "client-cert-chain")
}

var dashed = strings.NewReplacer("_", "-", ".", "-")

// honest returns trailers without what is for gateways alone to say: some servers take trailers for header fields.
func honest(trailers message.Fields) message.Fields {
	return trailers.Without(forGateways)
}

func forGateways(name string) bool {
	return ours(name) || name == "client-cert" || name == "client-cert-chain"
}

// forwarded is one element of Forwarded (RFC 7239 section 4). The host has passed the decision: it holds nothing that
// must be escaped.
func forwarded(client, host, proto string) string {
	if strings.Contains(client, ":") {
		return `for="[` + client + `]";host="` + host + `";proto=` + proto
	}
	return "for=" + client + `;host="` + host + `";proto=` + proto
}

// extended appends to the list that a trusted gateway sent.
func extended(theirs message.Fields, name, value string) message.Field {
	if list := theirs.Values(name); len(list) > 0 {
		value = strings.Join(list, ", ") + ", " + value
	}
	return message.Field{Name: name, Value: value}
}

// kept prefers the one value that a trusted gateway sent.
func kept(theirs message.Fields, name, value string) message.Field {
	if list := theirs.Values(name); len(list) == 1 {
		value = list[0]
	}
	return message.Field{Name: name, Value: value}
}
