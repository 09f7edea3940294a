package authority

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNamesList(t *testing.T) {
	n := NewNames([]string{"B.example", "b.example", "*.A.example", "*", "w*.example", "a.example.", "192.0.2.9", "x:1", "b.example:", "", "*.*.example"},
		[]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth0"), {}})
	if want := []string{"*.a.example", "192.0.2.1", "b.example"}; !slices.Equal(n.All(), want) {
		t.Errorf("All() = %q, want %q", n.All(), want)
	}
	for host, want := range map[string][2]bool{
		"b.example": {true, true}, "x.a.example": {true, false}, "192.0.2.1": {true, true}, "192.0.2.9": {false, false},
		"a.example": {false, false}, "[fe80::1]": {false, false},
	} {
		a := MustParse(host)
		if got := [2]bool{n.Covers(a), n.Lists(a)}; got != want {
			t.Errorf("%s: covered and listed %v, want %v", host, got, want)
		}
	}
	var none *Names
	if none.Covers(MustParse("a")) || none.Lists(MustParse("a")) || none.All() != nil || n.Covers(Authority{}) || n.Lists(Authority{}) {
		t.Error("nil names cover something, or the zero Authority is covered")
	}
}

// FuzzCovers compares Names with crypto/x509. The differences are meant:
//
//   - An IPv4-mapped IPv6 address is another origin than the IPv4 address; crypto/x509 takes them for one.
//   - A name whose last label is a number is no host here, because browsers may read it as an IPv4 address.
//   - Where a name is none by the rules of RFC 1123 (a label that begins with a hyphen), crypto/x509 takes literal
//     equality alone; here a wildcard covers it as it covers others.
func FuzzCovers(f *testing.F) {
	for _, s := range [][2]string{
		{"a.example", "a.example"}, {"*.example", "a.example"}, {"*.example", "a.b.example"}, {"*.example", "example"}, {"*", "a"},
		{"A.Example", "a.eXample"}, {"a.example:", "a.example"}, {"a.example.", "a.example"}, {"w*.example", "www.example"}, {"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, {"2001:db8::1", "[2001:DB8::1]"}, {"*.2.1", "192.0.2.1"}, {"-a.example", "-a.example"}, {"a.1", "a.1"},
		{"*.example", "-a.example"}, {"xn--a.example", "XN--A.example"}, {"a_b.example", "a_b.example"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, san, host string) {
		a, err := Parse(host)
		if err != nil {
			return
		}
		cert := &x509.Certificate{DNSNames: []string{san}}
		var ips []netip.Addr
		if ip, err := netip.ParseAddr(san); err == nil && ip.Zone() == "" {
			ips, cert.IPAddresses = []netip.Addr{ip}, []net.IP{ip.AsSlice()}
			if ip.Is4In6() || a.IsIP() && netip.MustParseAddr(a.Host()).Is4In6() {
				if got := NewNames([]string{san}, ips).Covers(a); got != (a.IsIP() && ip.String() == a.Host()) {
					t.Fatalf("mapped address %q covers %q: %v", san, a, got)
				}
				return
			}
		}
		got := NewNames([]string{san}, ips).Covers(a)
		want := cert.VerifyHostname(a.WithPort(0).String()) == nil
		if a.kind == dnsName && strings.Contains("."+a.Host(), ".-") {
			want = coversByRule(lowerASCII(san), a.Host())
		}
		numeric := isNumeric(strings.ToLower(san[strings.LastIndexByte(san, '.')+1:]))
		if got != want && !(numeric && !got) {
			t.Fatalf("certificate for %q covers %q: %v, want %v", san, a, got, want)
		}
	})
}

// coversByRule is RFC 9525 section 6.3 and nothing else.
func coversByRule(san, host string) bool {
	_, parent, found := strings.Cut(host, ".")
	return san == host || found && san == "*."+parent
}
