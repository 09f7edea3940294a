package localca

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// hostError says what is wrong with one host, with a hint where there is a way out.
func hostError(typed, reason, hint string) error {
	if hint == "" {
		return fmt.Errorf("host %q: %s", typed, reason)
	}
	return fmt.Errorf("host %q: %s\n    hint: %s", typed, reason, hint)
}

// canonicalHosts brings a set of hosts into one form: folded, sorted, each once.
func canonicalHosts(hosts []string) ([]string, error) {
	set := make([]string, 0, len(hosts))
	for _, typed := range hosts {
		host, err := canonicalHost(typed)
		if err != nil {
			return nil, err
		}
		set = append(set, host)
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

// splitHosts divides hosts into DNS names and addresses, in their order, each once.
func splitHosts(hosts []string) (names []string, addresses []net.IP, err error) {
	seen := make(map[string]bool, len(hosts))
	for _, typed := range hosts {
		host, err := canonicalHost(typed)
		if err != nil {
			return nil, nil, err
		}
		if seen[host] {
			continue
		}
		seen[host] = true
		if address, err := netip.ParseAddr(host); err == nil {
			addresses = append(addresses, net.IP(address.AsSlice()))
			continue
		}
		names = append(names, host)
	}
	return names, addresses, nil
}

// canonicalHost folds one host. It takes what a certificate can name and nothing else:
//
//	host     = [ "*." ] label *( "." label ) [ "." ] / IPv4 / IPv6 / "[" IPv6 "]"
//	label    = 1*63( ALPHA / DIGIT / "-" / "_" )
//
// with 253 bytes at most, and a last label that is not all digits.
func canonicalHost(typed string) (string, error) {
	if address, ok, err := canonicalAddress(typed); ok || err != nil {
		return address, err
	}
	host := strings.TrimSuffix(asciiLower(typed), ".")
	switch {
	case host == "":
		return "", hostError(typed, "is empty", "")
	case host == "*":
		return "", hostError(typed, "a certificate cannot name every host", "list the hosts, or a wildcard such as *.example.com")
	case len(host) > 253:
		return "", hostError(typed, "is longer than 253 bytes", "")
	}
	name := strings.TrimPrefix(host, "*.")
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if err := checkLabel(typed, label); err != nil {
			return "", err
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "", hostError(typed, "ends in a number but is no IPv4 address", "")
	}
	return host, nil
}

func checkLabel(typed, label string) error {
	switch {
	case label == "":
		return hostError(typed, "has an empty label", "")
	case len(label) > 63:
		return hostError(typed, "has a label longer than 63 bytes", "")
	}
	for i := range len(label) {
		c := label[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == ':':
			return hostError(typed, "has a port", "certificates name hosts without a port")
		case c == '*':
			return hostError(typed, "has a wildcard in the wrong place", "a wildcard stands for the whole left-most label, as in *.example.com")
		case c >= 0x80:
			return hostError(typed, "is not ASCII", "write the name in its xn-- form")
		default:
			return hostError(typed, fmt.Sprintf("has the byte %q", c), "")
		}
	}
	return nil
}

// canonicalAddress folds an IP literal. It says ok = false, without an error, for whatever is none.
func canonicalAddress(typed string) (host string, ok bool, err error) {
	inner, bracketed := strings.CutPrefix(typed, "[")
	if bracketed {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", false, hostError(typed, "has a bracket in the wrong place", "certificates name hosts without a port")
		}
	}
	address, err := netip.ParseAddr(inner)
	switch {
	case err != nil && bracketed:
		return "", false, hostError(typed, "is no IPv6 address", "")
	case err != nil:
		return "", false, nil
	case address.Zone() != "":
		return "", false, hostError(typed, "has an IPv6 zone", "a zone means something on one machine only")
	case bracketed && !address.Is6():
		return "", false, hostError(typed, "has an IPv4 address in brackets", "")
	}
	// An IPv4 address in IPv6 clothes is the IPv4 address: crypto/x509 writes and compares it so.
	return address.Unmap().String(), true, nil
}

// asciiLower folds A to Z alone: Unicode folding would let other letters become ASCII ones.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
