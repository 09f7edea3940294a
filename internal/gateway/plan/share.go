package plan

import (
	"slices"

	"github.com/usher-http/usher/authority"
)

// A Share is a set of pairs of sites whose connections browsers share, all with the same outcome: every site of From
// with every other site of To.
type Share struct {
	Listener string
	From     []string // sites that the connections were made for, in the order of the file
	To       []string // sites that are asked for on them
	// Certificate says which connections are meant, where client authentication is optional and makes a difference.
	Certificate Certificate
	Verdict     authority.Verdict // on the shared connection; its Site is one of To
	Retry       *Retry            // nil where the request is served
	// Example is one authority of a site of To that a certificate of From covers.
	Example string
}

// Certificate says whether the client of a connection showed a certificate.
type Certificate string

const (
	AnyCertificate  Certificate = ""
	WithCertificate Certificate = "with"
	NoCertificate   Certificate = "without"
)

// Pairs returns how many pairs of different sites there are in s.
func (s *Share) Pairs() int {
	n := len(s.From) * len(s.To)
	for _, name := range s.From {
		if slices.Contains(s.To, name) {
			n--
		}
	}
	return n
}

// Lost reports whether requests end in a refusal although the browser comes back on a fresh connection.
func (s *Share) Lost() bool { return s.Retry != nil && !s.Retry.Served() }

// Shares returns which sites browsers would coalesce, and what is answered then. Browsers coalesce where HTTP/2 or HTTP/3
// is spoken, two hosts lead to one address (here: one listener), and the certificate of the connection covers the other
// host too (RFC 9113 section 9.1.1). They bring TLS 1.3 and a client certificate for whoever requires one.
func (p *Plan) Shares() []Share {
	var all []Share
	for _, l := range p.Loaded.Listeners {
		if l.Scheme != authority.HTTPS || !l.H2 && !l.H3 {
			continue
		}
		for _, g := range p.classes(l) {
			all = append(all, p.sharesOf(l, g)...)
		}
	}
	return all
}
