package authority

import (
	"errors"
	"strings"
	"testing"
)

func TestParsePatternErrorsTellThePlace(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
		reason string
	}{
		{"", 0, "empty"},
		{"*.", 2, "empty"},
		{"*.*.example", 2, "wildcard"},
		{"a.*.example", 2, "wildcard"},
		{"a*.example", 1, "wildcard"},
		{"*a.example", 0, "wildcard"},
		{"**", 0, "wildcard"},
		{"*:443", 0, "wildcard"},
		{"*.192.0.2.1", 0, "IP address"},
		{"*.[::1]", 0, "IP address"},
		{"*.a..b", 4, "empty label"},
		{"*.example:0", 10, "port"},
		{"b\u00fccher.test", 1, "A-labels"},
	} {
		p, err := ParsePattern(c.in)
		var e *ParseError
		if !errors.As(err, &e) || p.IsValid() || p.Matches(MustParse("a.example")) {
			t.Errorf("ParsePattern(%q) = %v, %v, want a *ParseError", c.in, p, err)
			continue
		}
		if e.Input != c.in || e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("ParsePattern(%q): offset %d %q, want offset %d %q", c.in, e.Offset, e.Reason, c.offset, c.reason)
		}
	}
}

func TestPatternMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"a.example", "A.Example.", true}, {"a.example", "a.example:8443", true}, {"a.example", "xa.example", false},
		{"a.example:443", "a.example:443", true}, {"a.example:443", "a.example", false},
		{"*.example", "a.example", true}, {"*.example", "a.b.example", false}, {"*.example", "example", false},
		{"*.example:1", "a.example:1", true}, {"*.example:1", "a.example:2", false}, {"*.example", "aexample", false},
		{"*", "anything.test", true}, {"*", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.1:1", true}, {"[::1]", "[0:0::1]", true}, {"192.0.2.1", "[::ffff:192.0.2.1]", false},
	} {
		if got := MustParsePattern(c.pattern).Matches(MustParse(c.host)); got != c.want {
			t.Errorf("pattern %q matches %q: %v, want %v", c.pattern, c.host, got, c.want)
		}
	}
	if MustParsePattern("*").Matches(Authority{}) || (Pattern{}).Matches(MustParse("a")) {
		t.Error("something matches the zero Authority, or the zero Pattern matches something")
	}
}

// FuzzParsePattern compares patterns with their texts: the canonical text parses to the same pattern, and a pattern
// matches what its text says.
func FuzzParsePattern(f *testing.F) {
	for _, s := range [][2]string{{"*", "a"}, {"*.a.b", "x.a.b"}, {"A.b:1", "a.b:1"}, {"[::1]", "[::1]:2"}, {"*.1.2.3.4", "0.1.2.3.4"}, {"*.*", "a.b"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, s, host string) {
		p, err := ParsePattern(s)
		if err != nil {
			var e *ParseError
			if p != (Pattern{}) || !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(s) {
				t.Fatalf("ParsePattern(%q) = %#v, %v", s, p, err)
			}
			return
		}
		if again, err := ParsePattern(p.String()); err != nil || again != p {
			t.Fatalf("ParsePattern(%q) = %q, which parses as %v, %v", s, p, again, err)
		}
		a, err := Parse(host)
		if err != nil {
			return
		}
		bare, text := a.WithPort(0).String(), p.Authority().WithPort(0).String()
		want := bare == text
		switch {
		case p.IsCatchAll():
			want = true
		case p.IsWildcard():
			_, parent, found := strings.Cut(bare, ".")
			want = found && parent == text && !a.IsIP()
		}
		if p.Port() != 0 && p.Port() != a.Port() {
			want = false
		}
		if got := p.Matches(a); got != want {
			t.Fatalf("pattern %q matches %q: %v, want %v", p, a, got, want)
		}
	})
}
