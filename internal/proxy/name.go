package proxy

import (
	"net/netip"
	"strings"
)

// nameOf returns the host of an authority in the form of an SNI (RFC 6066 section 3): a DNS name in lower case without a dot at the
// end. An IP literal is none.
func nameOf(authority string) (string, bool) {
	host, port, _ := strings.Cut(authority, ":")
	if strings.Contains(port, ":") {
		return "", false
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if !validLabel(label) {
			return "", false
		}
		last = label
	}
	return host, strings.Trim(last, "0123456789") != ""
}

func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
