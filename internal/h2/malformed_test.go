package h2

import (
	"slices"
	"testing"
)

// The handler is told of a request that is refused with a stream error, as far as it was read, and why.
func TestMalformedIsTold(t *testing.T) {
	p := connected(t, nil)
	lines := [][]string{
		get("X", "1"), get("x", "a\x00"), get("x", " a"), get("connection", "x"), get("te", "gzip"), get("content-length", "x"),
		get("content-length", "5"), get(":path", "/again"), get(":new", "x"), {":method", "GET", ":path", "/x"}, get("x", "1", ":path", "/late"),
		{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/a b"},
	}
	for i, pairs := range lines {
		p.headers(uint32(2*i+1), true, pairs...)
	}
	p.flush()
	pseudo, missing := "a pseudo-field that is unknown, late or there twice", "a pseudo-field that is missing, malformed or too many"
	value := "a field value with a control character, or with a blank at an end"
	want := []string{
		"GET /: a field name that is no token in lower case", "GET /: " + value, "GET /: " + value, "GET /: a field about the connection: connection",
		"GET /: TE other than trailers", "GET /: Content-Length, malformed or more than one", "GET /: less content than Content-Length says",
		"GET /again: " + pseudo, "GET /: " + pseudo, "GET /x: " + missing, "GET /: " + pseudo, "GET /a b: " + missing,
	}
	if !slices.Equal(p.malformed, want) || len(p.events) > 0 {
		t.Errorf("told of\n%q, want\n%q; and %q", p.malformed, want, p.events)
	}
	p.malformed = nil
	p.w.WriteRawFrame(1, 0x25, 99, append([]byte{0, 0, 0, 99, 0}, p.encode(get()...)...))
	p.flush()
	if want := []string{" : a stream that depends on itself"}; !slices.Equal(p.malformed, want) {
		t.Errorf("told of %q, want %q", p.malformed, want)
	}
}
