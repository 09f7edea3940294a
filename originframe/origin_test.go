package originframe

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
)

func TestParseOrigin(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 62)+".", 4) + "a" // 253 bytes
	for _, s := range []string{
		"https://a.example", "https://a.example:8443", "http://a.example", "http://a.example:443",
		"https://192.0.2.1:1", "https://[2001:db8::1]", "https://localhost", "https://a_b.example",
		"https://" + long + ":65535",
	} {
		o, err := ParseOrigin(s)
		if err != nil || o.String() != s {
			t.Errorf("%q: %v, %v", s, o, err)
		}
	}
	o, err := ParseOrigin("https://a.example:8443")
	if want := authority.NewOrigin(authority.HTTPS, authority.MustParse("a.example:8443")); err != nil || o != want {
		t.Errorf("%#v, %v; want %#v", o, err, want)
	}
}

func TestParseOriginErrors(t *testing.T) {
	tests := []struct {
		in     string
		offset int
		reason string
	}{
		{"", 0, "no scheme and host"},
		{"null", 0, "no scheme and host"}, // RFC 6454 section 6.2: what is no triple
		{"a.example", 0, "no scheme and host"},
		{"ftp://a.example", 0, "neither http nor https"},
		{"://a.example", 0, "neither http nor https"},
		{"https://", 8, "empty"},
		{"https://a.example/", 17, "not allowed in a host"},
		{"https://a.example?q", 17, "not allowed in a host"},
		{"https://a.example#f", 17, "not allowed in a host"},
		{"https://user@a.example", 12, "userinfo"},
		{"https://user:pw@a.example", 13, "port is no number"},
		{"https://*.example", 8, "not allowed in a host"},
		{"https://a.example:0", 18, "port is no number"},
		{"https://a.example:65536", 18, "port is no number"},
		{"https://a%2eexample", 9, "percent-encoding"},
		{" https://a.example", 0, "neither http nor https"},
		{"https://a.example ", 17, "not allowed in a host"},
		{"https://a.example\x00", 17, "not allowed in a host"},
		{"https://[fe80::1%25eth0]", 9, "zone"},
		{"https://300.1.1.1", 16, "no IPv4 address"},
		{"HTTPS://a.example", 0, "not in canonical form"},
		{"https://a.Example", 10, "not in canonical form"},
		{"https://a.example.", 17, "not in canonical form"},
		{"https://a.example:443", 17, "not in canonical form"},
		{"http://a.example:80", 16, "not in canonical form"},
		{"https://a.example:", 17, "not in canonical form"},
		{"https://a.example:08443", 18, "not in canonical form"},
		{"https://[2001:db8:0::1]", 18, "not in canonical form"},
		{"https://" + strings.Repeat("a", 300), maxOrigin, "too long"},
	}
	for _, tt := range tests {
		o, err := ParseOrigin(tt.in)
		var e *ParseError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, %v; want a *ParseError", tt.in, o, err)
			continue
		}
		if o != (authority.Origin{}) || e.Input != tt.in || e.Offset != tt.offset || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("%q: %v, %+v; want offset %d, reason %q", tt.in, o, e, tt.offset, tt.reason)
		}
	}
}

func TestParseErrorIsShort(t *testing.T) {
	_, err := ParseOrigin(strings.Repeat("x", 1<<20))
	if n := len(err.Error()); n > 400 {
		t.Errorf("a message of %d bytes", n)
	}
}

// FuzzOrigin holds ParseOrigin against net/url, which knows nothing of it: what we accept is, to a URL parser too, a
// scheme, a host and a port and nothing else.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example:8443", "http://[::1]:8080", "null", "https://a.example:443", "https://u@a/b?c#d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOrigin(s)
		if err != nil {
			if o != (authority.Origin{}) {
				t.Fatalf("%q: %v beside an error", s, o)
			}
			return
		}
		if o.String() != s || len(s) > maxOrigin {
			t.Fatalf("%q became %q", s, o)
		}
		u, err := url.Parse(s)
		if err != nil {
			t.Fatalf("%q is no URL: %v", s, err)
		}
		if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("%q has more than scheme, host and port: %+v", s, u)
		}
		if u.Scheme != o.Scheme().String() || u.Hostname() != o.Authority().Host() {
			t.Fatalf("%q: scheme %q and host %q, want %q and %q", s, o.Scheme(), o.Authority().Host(), u.Scheme, u.Hostname())
		}
	})
}
