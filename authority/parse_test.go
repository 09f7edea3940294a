package authority

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParseErrorsTellThePlace(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		in     string
		offset int
		reason string
	}{
		{"", 0, "empty"},
		{strings.Repeat("a.", 200), maxInput, "too long"},
		{"a..b", 2, "empty label"},
		{".", 0, "empty label"},
		{"a..", 2, "empty label"},
		{":443", 0, "empty label"},
		{"ok." + long + ".test", 3, "63 bytes"},
		{"ok.test." + long, 8, "63 bytes"},
		{strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abcd", 253, "253 bytes"},
		{"user@host", 4, "userinfo"},
		{"a%20b", 1, "percent"},
		{"b\u00fccher.test", 1, "A-labels"},
		{"a b", 1, "' '"},
		{"host:0", 5, "port"},
		{"host:65536", 5, "port"},
		{"host:4x3", 6, "port"},
		{"host:123456", 5, "port"},
		{"www.1.2", 6, "IPv4"},
		{"192.0.2.01", 8, "IPv4"},
		{"[::1", 4, "missing ]"},
		{"[::1]x", 5, "after ]"},
		{"[::1]:x", 6, "port"},
		{"[fe80::1%eth0]", 1, "zone"},
		{"[1.2.3.4]", 1, "IPv6"},
	} {
		a, err := Parse(c.in)
		var e *ParseError
		if !errors.As(err, &e) {
			t.Errorf("Parse(%.40q) = %v, %v, want a *ParseError", c.in, a, err)
			continue
		}
		if e.Input != c.in || e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("Parse(%.40q): offset %d %q, want offset %d %q", c.in, e.Offset, e.Reason, c.offset, c.reason)
		}
		if a != (Authority{}) || a.IsValid() || a.String() != "invalid authority" {
			t.Errorf("Parse(%.40q) gives %v beside its error", c.in, a)
		}
		if s := e.Error(); len(s) > 4*maxInput+100 || !strings.HasPrefix(s, "authority ") {
			t.Errorf("Parse(%.40q): %s", c.in, s)
		}
	}
}

func TestAuthorityText(t *testing.T) {
	for in, want := range map[string]string{
		"A.Example.":      "a.example",
		"a.example:0443":  "a.example:443",
		"[2001:DB8::0:1]": "[2001:db8::1]",
		"[::1]:8443":      "[::1]:8443",
		"192.0.2.1:80":    "192.0.2.1:80",
	} {
		if got := MustParse(in).String(); got != want {
			t.Errorf("Parse(%q).String() = %q, want %q", in, got, want)
		}
	}
	if MustParse("A.example.:443") != MustParse("a.EXAMPLE:443") {
		t.Error("two spellings of one authority differ")
	}
	if MustParse("[::ffff:192.0.2.1]") == MustParse("192.0.2.1") {
		t.Error("an IPv4-mapped address equals the IPv4 address")
	}
	if a := MustParse("a.example:1").WithPort(0); a != MustParse("a.example") {
		t.Errorf("WithPort(0) = %v", a)
	}
}

func TestParseHostTakesNoPort(t *testing.T) {
	for in, want := range map[string]string{
		"A.Example.": "a.example", "2001:DB8::1": "2001:db8::1", "192.0.2.1": "192.0.2.1",
		"a.example:443": "", "[::1]": "", "": "", "192.0.2.1:1": "", "fe80::1%eth0": "", "a_b.c": "a_b.c",
	} {
		a, err := ParseHost(in)
		if (err == nil) != (want != "") || a.Host() != want || a.Port() != 0 {
			t.Errorf("ParseHost(%q) = %v, %v, want %q", in, a, err, want)
		}
	}
	for in, want := range map[string]string{"A.Example.": "a.example", "192.0.2.1": "", "::1": "", "a..b": "", "": ""} {
		if got := CanonicalSNI(in); got != want {
			t.Errorf("CanonicalSNI(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseOfCanonicalFormDoesNotAllocate(t *testing.T) {
	for _, in := range []string{"www.example.com", "www.example.com:8443", "192.0.2.1", "[2001:db8::1]:443", "www.example.com."} {
		if n := testing.AllocsPerRun(100, func() { _, _ = Parse(in) }); n != 0 {
			t.Errorf("Parse(%q) allocates %v times", in, n)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		scheme Scheme
		at     string
		want   string
	}{
		{HTTPS, "a.example", "https://a.example"}, {HTTPS, "a.example:443", "https://a.example"},
		{HTTPS, "a.example:80", "https://a.example:80"}, {HTTP, "a.example:80", "http://a.example"},
		{HTTPS, "[::1]:8443", "https://[::1]:8443"},
	} {
		if got := NewOrigin(c.scheme, MustParse(c.at)).String(); got != c.want {
			t.Errorf("origin %v %q = %q, want %q", c.scheme, c.at, got, c.want)
		}
	}
	for in, want := range map[string]Scheme{"HTTPS": HTTPS, "hTTp": HTTP, "": NoScheme, "ftp": NoScheme, "httpss": NoScheme, "wss": NoScheme} {
		if got := ParseScheme(in); got != want {
			t.Errorf("ParseScheme(%q) = %v, want %v", in, got, want)
		}
	}
}

// FuzzParse compares with net/netip and with the grammar, and asks for a canonical form that is a fixed point.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a", "A.b:1", "[::1]:443", "127.0.0.1", "0x7f.1", "a.", "user@a", "a%2e", "[::ffff:1.2.3.4]", "1.2.3.4.", "m\u00fc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			var e *ParseError
			if a != (Authority{}) || !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(s) {
				t.Fatalf("Parse(%q) = %#v, %v", s, a, err)
			}
			if ip, err := netip.ParseAddr(s); err == nil && ip.Is4() {
				t.Fatalf("Parse(%q) refuses an IPv4 address", s)
			}
			return
		}
		if strings.ContainsFunc(s, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]", r)
		}) {
			t.Fatalf("Parse(%q) accepts a byte outside the grammar", s)
		}
		again, err := Parse(a.String())
		if err != nil || again != a || a.String() != strings.ToLower(a.String()) {
			t.Fatalf("Parse(%q) = %q, which parses as %v, %v", s, a, again, err)
		}
		checkHost(t, a)
	})
}

func checkHost(t *testing.T, a Authority) {
	t.Helper()
	ip, err := netip.ParseAddr(a.Host())
	if a.IsIP() != (err == nil) || err == nil && ip.String() != a.Host() {
		t.Fatalf("host %q: IsIP %v, net/netip says %v, %v", a.Host(), a.IsIP(), ip, err)
	}
	if a.IsIP() {
		return
	}
	if len(a.Host()) > 253 {
		t.Fatalf("host %q is too long", a.Host())
	}
	for _, label := range strings.Split(a.Host(), ".") {
		if label == "" || len(label) > 63 {
			t.Fatalf("host %q has the label %q", a.Host(), label)
		}
	}
	if h, err := ParseHost(a.Host()); err != nil || h != a.WithPort(0) {
		t.Fatalf("ParseHost(%q) = %v, %v", a.Host(), h, err)
	}
}
