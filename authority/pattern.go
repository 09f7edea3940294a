package authority

import "strings"

// A Pattern names the hosts of a site: an exact host, a wildcard for exactly one left-most label, an IP
// literal, each with an optional port, or the catch-all. The zero Pattern is invalid and matches nothing.
type Pattern struct {
	at    Authority // for a wildcard: what stands behind "*."
	match matchKind
}

type matchKind uint8

const (
	matchNone matchKind = iota
	matchExact
	matchWildcard
	matchAny
)

// ParsePattern reads
//
//	pattern = "*" / [ "*." ] authority
//
// where authority is as in [Parse] and a wildcard stands before a name, not before an IP literal.
func ParsePattern(s string) (Pattern, error) {
	if s == "*" {
		return Pattern{match: matchAny}, nil
	}
	rest, wild := strings.CutPrefix(s, "*.")
	if i := strings.IndexByte(rest, '*'); i >= 0 {
		return Pattern{}, &ParseError{s, i + len(s) - len(rest), "a wildcard stands for the whole first label only, as in *.example.com"}
	}
	a, err := Parse(rest)
	if err != nil {
		e := err.(*ParseError)
		return Pattern{}, &ParseError{s, e.Offset + len(s) - len(rest), e.Reason}
	}
	if !wild {
		return Pattern{at: a, match: matchExact}, nil
	}
	if a.IsIP() {
		return Pattern{}, &ParseError{s, 0, "a wildcard cannot stand before an IP address"}
	}
	return Pattern{at: a, match: matchWildcard}, nil
}

// MustParsePattern is ParsePattern for constants: it panics on an error.
func MustParsePattern(s string) Pattern {
	p, err := ParsePattern(s)
	if err != nil {
		panic(err)
	}
	return p
}

func (p Pattern) IsValid() bool    { return p.match != matchNone }
func (p Pattern) IsWildcard() bool { return p.match == matchWildcard }
func (p Pattern) IsCatchAll() bool { return p.match == matchAny }

// Port returns the port that the pattern is narrowed to, 0 for none.
func (p Pattern) Port() uint16 { return p.at.port }

// Authority returns the host and port of an exact pattern; of a wildcard, what stands behind "*.".
func (p Pattern) Authority() Authority { return p.at }

// Matches reports whether the pattern names this host; a pattern with a port wants the same port in a.
func (p Pattern) Matches(a Authority) bool {
	if !a.IsValid() || p.at.port != 0 && p.at.port != a.port {
		return false
	}
	switch p.match {
	case matchAny:
		return true
	case matchExact:
		return a.host == p.at.host && a.kind == p.at.kind
	case matchWildcard:
		parent, ok := parentOf(a)
		return ok && parent[1:] == p.at.host
	}
	return false
}

func (p Pattern) String() string {
	switch p.match {
	case matchAny:
		return "*"
	case matchExact:
		return p.at.String()
	case matchWildcard:
		return "*." + p.at.String()
	}
	return "invalid pattern"
}

// parentOf returns the host without its first label, with the dot: "a.example.com" gives ".example.com". An IP
// address and a single label have none.
func parentOf(a Authority) (string, bool) {
	if a.kind != dnsName {
		return "", false
	}
	i := strings.IndexByte(a.host, '.')
	if i < 0 {
		return "", false
	}
	return a.host[i:], true
}
