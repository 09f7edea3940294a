package authority

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An Authority is a host and an optional port in canonical form: ASCII lower case, no trailing dot, IP
// addresses as [netip.Addr] prints them. Two spellings of one authority are equal as values (==).
// The zero Authority is invalid and is returned beside every error.
type Authority struct {
	host string
	port uint16
	kind hostKind
}

type hostKind uint8

const (
	noHost hostKind = iota
	dnsName
	ipv4
	ipv6
)

const (
	maxName  = 253 // RFC 1035 section 2.3.4, without the trailing dot
	maxLabel = 63
	// A name, its trailing dot, a colon and five digits. Longer input is refused before it is read.
	maxInput = maxName + 1 + 1 + 5
)

// A ParseError says why a string is no authority and no pattern.
type ParseError struct {
	Input  string
	Offset int // in bytes, where the reason was found
	Reason string
}

func (e *ParseError) Error() string {
	in := e.Input
	if len(in) > maxInput {
		in = in[:maxInput] + "..."
	}
	return fmt.Sprintf("authority %q: %s (at byte %d)", in, e.Reason, e.Offset)
}

// Parse reads an authority as it stands in a Host field, in :authority or in an absolute-form target:
//
//	authority = host [ ":" *5DIGIT ]           an empty port counts as none (RFC 3986 section 6.2.3)
//	host      = name [ "." ] / IPv4 / "[" IPv6 "]"
//	name      = label *( "." label )           at most 253 bytes
//	label     = 1*63( ALPHA / DIGIT / "-" / "_" )
//
// A name whose last label is a number must be an IPv4 address. Userinfo, percent-encoding, raw UTF-8, IPv6
// zones, IPvFuture and port 0 are errors. The error is a [*ParseError]. Parse allocates only where the input
// is not in canonical form already.
func Parse(s string) (Authority, error) {
	if len(s) == 0 {
		return Authority{}, &ParseError{s, 0, "empty"}
	}
	if len(s) > maxInput {
		return Authority{}, &ParseError{s, maxInput, "too long"}
	}
	if s[0] == '[' {
		return parseBracketed(s)
	}
	host, port, err := splitPort(s)
	if err != nil {
		return Authority{}, err
	}
	a, err := parseHost(s, host)
	a.port = port
	if err != nil {
		return Authority{}, err
	}
	return a, nil
}

// MustParse is Parse for constants: it panics on an error.
func MustParse(s string) Authority {
	a, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// ParseHost is Parse for a bare host without port, such as an SNI. IP literals come without brackets.
func ParseHost(s string) (Authority, error) {
	if strings.IndexByte(s, ':') >= 0 {
		return parseIPv6(s, s, 0)
	}
	if len(s) == 0 || len(s) > maxInput {
		return Authority{}, &ParseError{s, 0, "empty or too long"}
	}
	return parseHost(s, s)
}

func splitPort(s string) (host string, port uint16, err error) {
	i := strings.IndexByte(s, ':')
	if i < 0 {
		return s, 0, nil
	}
	port, err = parsePort(s, i+1)
	return s[:i], port, err
}

func parsePort(s string, at int) (uint16, error) {
	digits := s[at:]
	if digits == "" {
		return 0, nil
	}
	if len(digits) > 5 {
		return 0, &ParseError{s, at, "port is no number from 1 to 65535"}
	}
	n := 0
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, &ParseError{s, at + i, "port is no number from 1 to 65535"}
		}
		n = n*10 + int(c-'0')
	}
	if n == 0 || n > 65535 {
		return 0, &ParseError{s, at, "port is no number from 1 to 65535"}
	}
	return uint16(n), nil
}

func parseBracketed(s string) (Authority, error) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return Authority{}, &ParseError{s, len(s), "missing ]"}
	}
	a, err := parseIPv6(s, s[1:end], 1)
	if err != nil {
		return Authority{}, err
	}
	if rest := s[end+1:]; rest != "" {
		if rest[0] != ':' {
			return Authority{}, &ParseError{s, end + 1, "unexpected text after ]"}
		}
		if a.port, err = parsePort(s, end+2); err != nil {
			return Authority{}, err
		}
	}
	return a, nil
}

func parseIPv6(input, text string, at int) (Authority, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is6() {
		return Authority{}, &ParseError{input, at, "no IPv6 address"}
	}
	if ip.Zone() != "" {
		return Authority{}, &ParseError{input, at, "IPv6 address with a zone"}
	}
	var buf [netip128Text]byte
	if b := ip.AppendTo(buf[:0]); string(b) != text {
		text = string(b)
	}
	return Authority{host: text, kind: ipv6}, nil
}

const netip128Text = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// The classes of bytes in a name. Upper case is a class of its own because folding allocates.
const (
	bad byte = iota
	lower
	upper
	digit
)

var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', c == '-', c == '_':
			t[c] = lower
		case 'A' <= c && c <= 'Z':
			t[c] = upper
		case '0' <= c && c <= '9':
			t[c] = digit
		}
	}
	return t
}()

// parseHost reads a name or an IPv4 address. input is what errors quote; host is a prefix of it.
func parseHost(input, host string) (Authority, error) {
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > maxName {
		return Authority{}, &ParseError{input, maxName, "name of more than 253 bytes"}
	}
	label, fold := 0, false
	for i := range len(host) {
		c := host[i]
		if c == '.' {
			if i-label == 0 || i-label > maxLabel {
				return Authority{}, labelError(input, label, i)
			}
			label = i + 1
			continue
		}
		switch class[c] {
		case bad:
			return Authority{}, byteError(input, i)
		case upper:
			fold = true
		}
	}
	if n := len(host) - label; n == 0 || n > maxLabel {
		return Authority{}, labelError(input, label, len(host))
	}
	if fold {
		host = lowerASCII(host)
	}
	if isNumeric(host[label:]) {
		// netip accepts dotted quads without leading zeros and nothing else.
		if _, err := netip.ParseAddr(host); err != nil {
			return Authority{}, &ParseError{input, label, "last label is a number, but the host is no IPv4 address"}
		}
		return Authority{host: host, kind: ipv4}, nil
	}
	return Authority{host: host, kind: dnsName}, nil
}

func labelError(input string, from, to int) error {
	if from == to {
		return &ParseError{input, from, "empty label"}
	}
	return &ParseError{input, from, "label of more than 63 bytes"}
}

func byteError(input string, i int) error {
	switch c := input[i]; {
	case c == '@':
		return &ParseError{input, i, "userinfo is not allowed"}
	case c == '%':
		return &ParseError{input, i, "percent-encoding is not allowed"}
	case c >= 0x80:
		return &ParseError{input, i, "not ASCII: international names are written as A-labels (xn--...)"}
	default:
		return &ParseError{input, i, fmt.Sprintf("byte %q is not allowed in a host", c)}
	}
}

// isNumeric tells whether clients would read a last label as part of an IPv4 address. Browsers take 0x7f as a
// number too, so a name that ends so could mean two things.
func isNumeric(label string) bool {
	if len(label) >= 2 && label[0] == '0' && label[1] == 'x' {
		for i := 2; i < len(label); i++ {
			if c := label[i]; class[c] != digit && (c < 'a' || c > 'f') {
				return false
			}
		}
		return true
	}
	for i := range len(label) {
		if class[label[i]] != digit {
			return false
		}
	}
	return true
}

// lowerASCII folds A to Z alone. strings.ToLower would also fold the Kelvin sign to k, and two different
// hosts would become one.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// IsValid reports whether a came from a successful Parse.
func (a Authority) IsValid() bool { return a.kind != noHost }

// Host returns the canonical host: no port, no brackets, no trailing dot.
func (a Authority) Host() string { return a.host }

// Port returns the port, 0 where the authority names none.
func (a Authority) Port() uint16 { return a.port }

// IsIP reports whether the host is an IP literal.
func (a Authority) IsIP() bool { return a.kind == ipv4 || a.kind == ipv6 }

// WithPort returns a with another port; 0 removes it.
func (a Authority) WithPort(port uint16) Authority {
	a.port = port
	return a
}

// String returns the canonical text, with brackets round an IPv6 address.
func (a Authority) String() string {
	if a.kind == noHost {
		return "invalid authority"
	}
	host := a.host
	if a.kind == ipv6 {
		host = "[" + host + "]"
	}
	if a.port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(int(a.port))
}
