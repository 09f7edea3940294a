package gateway

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
)

// rewrite makes the upstream's request. Host, path and query stay as the client sent them; the rotation fills in the server.
// What clients say of other hops is theirs to invent: it is replaced by what this gateway knows, but for what a trusted
// gateway said, which is extended.
func rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	p.Out.URL.RawQuery = p.In.URL.RawQuery // as it was: ReverseProxy drops what Go cannot parse
	for name := range p.Out.Header {
		if ours(name) {
			delete(p.Out.Header, name)
		}
	}
	onlyWebSocket(p.Out.Header)
	trusted := x.conn.Trusted
	proto := "http"
	if x.conn.Secure {
		proto = "https"
	}
	client, _, err := net.SplitHostPort(p.In.RemoteAddr)
	if err != nil {
		client = p.In.RemoteAddr
	}
	h := p.Out.Header
	extend(h, p.In.Header, "Forwarded", forwarded(client, p.In.Host, proto), trusted)
	extend(h, p.In.Header, "X-Forwarded-For", client, trusted)
	keep(h, p.In.Header, "X-Forwarded-Host", p.In.Host, trusted)
	keep(h, p.In.Header, "X-Forwarded-Proto", proto, trusted)
	if !trusted {
		clientCertificate(h, p.In)
	}
}

// ours reports whether a field is for gateways alone to send. Many a server takes Client_Cert for Client-Cert (RFC 3875 section
// 4.1.18 maps both to one variable), so the spelling with underscores is ours too, and nobody needs it.
func ours(name string) bool {
	spelled := name
	if strings.Contains(name, "_") {
		spelled = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	switch {
	case strings.HasPrefix(spelled, "X-Forwarded-"), spelled == "Forwarded", spelled == "X-Real-Ip":
		return true
	}
	// Under their proper names the guard has looked at these.
	return spelled != name && (spelled == "Client-Cert" || spelled == "Client-Cert-Chain")
}

// onlyWebSocket leaves no other upgrade in a request. Behind an upgrade to h2c (or to TLS) the client could ask the upstream for
// any host and path, past the guard and the routes. A server may ignore an upgrade (RFC 9110 section 7.8).
func onlyWebSocket(h http.Header) {
	delete(h, "Http2-Settings")
	if len(h["Upgrade"]) != 1 || !strings.EqualFold(h["Upgrade"][0], "websocket") {
		delete(h, "Upgrade")
		delete(h, "Connection")
	}
}

// forwarded is one element of Forwarded (RFC 7239 section 4). The host has passed the decision: it holds nothing that
// must be escaped.
func forwarded(client, host, proto string) string {
	node := client
	if strings.Contains(client, ":") {
		node = `"[` + client + `]"`
	}
	return "for=" + node + `;host="` + host + `";proto=` + proto
}

// extend appends to the list that a trusted gateway sent.
func extend(out, in http.Header, name, value string, trusted bool) {
	if trusted && len(in[name]) > 0 {
		value = strings.Join(in[name], ", ") + ", " + value
	}
	out[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
}

// keep prefers the one value that a trusted gateway sent.
func keep(out, in http.Header, name, value string, trusted bool) {
	if trusted && len(in[name]) == 1 {
		value = in[name][0]
	}
	out[name] = []string{value}
}

// clientCertificate tells the upstream who the client is (RFC 9440 section 2.2): the certificate that was verified under the
// site's CAs. Admit has hidden it from sites that want none, and has removed the field where a client sent it.
func clientCertificate(h http.Header, in *http.Request) {
	if in.TLS == nil || len(in.TLS.VerifiedChains) == 0 || len(in.TLS.PeerCertificates) == 0 {
		return
	}
	h["Client-Cert"] = []string{":" + base64.StdEncoding.EncodeToString(in.TLS.PeerCertificates[0].Raw) + ":"}
}
