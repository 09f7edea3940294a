package message

import (
	"slices"
	"strings"
	"testing"
)

// RFC 9110 section 5.6.2: a field name is a token; RFC 9113 section 8.2.1: "A field name MUST NOT contain characters in the ranges
// 0x00-0x20, 0x41-0x5a, or 0x7f-0xff (all inclusive)."
func TestValidName(t *testing.T) {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	for c := range 256 {
		name := "a" + string([]byte{byte(c)}) + "b"
		want := strings.IndexByte(token, byte(c)) >= 0
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", name, got, want)
		}
		if got, want := ValidToken(name), want || c >= 'A' && c <= 'Z'; got != want {
			t.Errorf("ValidToken(%q) = %v, want %v", name, got, want)
		}
	}
	if ValidName("") || ValidToken("") {
		t.Error("nothing is a name")
	}
}

// RFC 9113 section 8.2.1: "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed (ASCII LF, 0x0a), or carriage return
// (ASCII CR, 0x0d) at any position. A field value MUST NOT start or end with an ASCII whitespace character".
func TestValidValue(t *testing.T) {
	for c := range 256 {
		value := "a" + string([]byte{byte(c)}) + "b"
		want := c >= ' ' && c != 0x7f || c == '\t'
		if got := ValidValue(value); got != want {
			t.Errorf("ValidValue(%q) = %v, want %v", value, got, want)
		}
		if got, want := ValidTarget(value), c > ' ' && c != 0x7f; got != want {
			t.Errorf("ValidTarget(%q) = %v, want %v", value, got, want)
		}
	}
	for value, want := range map[string]bool{"": true, "a": true, " a": false, "a ": false, "\ta": false, "a\t": false, " ": false} {
		if got := ValidValue(value); got != want {
			t.Errorf("ValidValue(%q) = %v, want %v", value, got, want)
		}
	}
	if ValidTarget("") {
		t.Error("nothing is a target")
	}
}

func TestParseLength(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "00": 0, "7": 7, "65536": 65536, "999999999999999999": 999999999999999999,
		"": -1, "+1": -1, "-1": -1, " 1": -1, "1 ": -1, "1,1": -1, "0x1": -1, "1.0": -1, "1000000000000000000": -1, "18446744073709551621": -1, "１": -1,
	} {
		n, ok := ParseLength(s)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("ParseLength(%q) = %d, %v; want %d", s, n, ok, want)
		}
	}
}

func TestFields(t *testing.T) {
	f := Fields{{"accept", "a"}, {"via", "1"}, {"accept", "b"}, {"empty", ""}, {"list", "A, b;q=1,, c "}, {"list", "d"}}
	if v, ok := f.Get("accept"); v != "a" || !ok {
		t.Errorf("Get = %q, %v", v, ok)
	}
	if v, ok := f.Get("empty"); v != "" || !ok || f.Has("none") {
		t.Errorf("an empty value is %q, %v", v, ok)
	}
	if v := f.Values("Accept"); !slices.Equal(v, []string{"a", "b"}) || f.Values("none") != nil {
		t.Errorf("Values = %q", v)
	}
	if got := slices.Collect(f.Tokens("list")); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("Tokens = %q", got)
	}
	left := f.Without(func(name string) bool { return name == "accept" || name == "list" })
	if !slices.Equal(left, Fields{{"via", "1"}, {"empty", ""}}) {
		t.Errorf("Without = %q", left)
	}
}

// RFC 9110 section 7.6.1 and RFC 9113 section 8.2.2. Neither names Trailer, as RFC 2616 did in section 13.5.1: it says what is in the message.
func TestHopByHop(t *testing.T) {
	for _, name := range []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"} {
		if !HopByHop(name) {
			t.Errorf("%s is passed on", name)
		}
	}
	for _, name := range []string{"content-length", "host", "cookie", "via", "expect", "trailer"} {
		if HopByHop(name) {
			t.Errorf("%s is not passed on", name)
		}
	}
}

// RFC 9110 section 6.6.2: Trailer = #field-name.
func TestAnnouncing(t *testing.T) {
	many := strings.Repeat("a,", 100)
	for _, test := range []struct{ f, want Fields }{
		{Fields{{"a", "b"}}, Fields{{"a", "b"}}},
		{Fields{{"trailer", "X-Sum"}, {"a", "b"}}, Fields{{"a", "b"}, {"trailer", "x-sum"}}},
		{Fields{{"trailer", "x-sum ,, no"}, {"a", "b"}, {"trailer", "\tx-more"}}, Fields{{"a", "b"}, {"trailer", "x-sum, x-more"}}},
		{Fields{{"a", "b"}, {"trailer", "no"}}, Fields{{"a", "b"}}},
		{Fields{{"trailer", ""}}, Fields{}},
		{Fields{{"trailer", "x y, \"z\", :path, a=b, x"}}, Fields{{"trailer", "x"}}},
		{Fields{{"trailer", many}}, Fields{{"trailer", strings.Repeat("a, ", maxAnnounced-1) + "a"}}},
	} {
		if got := slices.Clone(test.f).Announcing(func(name string) bool { return name != "no" }); !slices.Equal(got, test.want) {
			t.Errorf("%q became %q, want %q", test.f, got, test.want)
		}
	}
	if got := (Fields{{"trailer", "x"}, {"a", "b"}, {"trailer", "y"}}).Silent(); !slices.Equal(got, Fields{{"a", "b"}}) {
		t.Errorf("Silent = %q", got)
	}
}
