package originframe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
)

// entry is one Origin-Entry, written by hand.
func entry(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func TestAppendRefusesWhatHasNoSerialisation(t *testing.T) {
	for _, o := range []authority.Origin{
		{},
		authority.NewOrigin(authority.NoScheme, authority.MustParse("a.example:1")),
		authority.NewOrigin(authority.HTTPS, authority.Authority{}),
	} {
		origins := append(mustOrigins(t, "https://a.example"), o)
		for name, f := range map[string]func([]byte, []authority.Origin) ([]byte, error){"Append": Append, "AppendFrame": AppendFrame} {
			got, err := f([]byte("before"), origins)
			if err == nil || string(got) != "before" {
				t.Errorf("%s(%v) = %q, %v; want an error and dst as it was", name, o, got, err)
			}
		}
	}
}

// 512 entries of 32 bytes are exactly MaxPayload.
func full(t *testing.T) (origins []authority.Origin) {
	for i := range MaxPayload / 32 {
		origins = append(origins, mustOrigin(t, fmt.Sprintf("https://%04d.%s.example", i, strings.Repeat("a", 9))))
	}
	return origins
}

func TestAppendLimit(t *testing.T) {
	origins := full(t)
	frame, err := AppendFrame(nil, origins)
	if err != nil || len(frame) != 9+MaxPayload {
		t.Fatalf("%d bytes, %v; want %d", len(frame), err, 9+MaxPayload)
	}
	if !bytes.Equal(frame[:9], []byte{0, 0x40, 0, 0x0c, 0, 0, 0, 0, 0}) {
		t.Errorf("header %x", frame[:9])
	}
	if got, ignored, err := Parse(frame[9:], Limits{}); err != nil || ignored != 0 || !slices.Equal(got, origins) {
		t.Errorf("what was written is not read: %d origins, %d ignored, %v", len(got), ignored, err)
	}
	got, err := AppendFrame([]byte("before"), append(origins, mustOrigin(t, "https://a")))
	if kind(err) != "limit" || string(got) != "before" {
		t.Errorf("%d bytes, %v; want a *LimitError and dst as it was", len(got), err)
	}
	if !strings.Contains(err.Error(), "16384") {
		t.Errorf("%q does not name the limit", err)
	}
}

// What lies in dst already is not part of the payload.
func TestAppendCountsOnlyItsOwn(t *testing.T) {
	dst := make([]byte, MaxPayload)
	if _, err := Append(dst, mustOrigins(t, "https://a.example")); err != nil {
		t.Error(err)
	}
}

// RFC 9113 section 4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame [...] is too small to
// contain mandatory frame data."
// RFC 9114 section 7.1: "a frame payload that terminates before the end of the identified fields MUST be
// treated as a connection error of type H3_FRAME_ERROR."
func TestEveryTruncationIsFound(t *testing.T) {
	whole := slices.Concat(entry("https://a.example"), entry(""), entry("null"), entry("https://b.example:8443"))
	ends := map[int]bool{0: true, 19: true, 21: true, 27: true, len(whole): true}
	for n := range len(whole) + 1 {
		origins, _, err := Parse(whole[:n], Limits{})
		if ends[n] != (err == nil) || err != nil && (kind(err) != "truncated" || origins != nil) {
			t.Errorf("the first %d bytes: %v, %v", n, origins, err)
		}
	}
	_, _, err := Parse(slices.Concat(entry("https://a.example"), []byte{0, 5, 'x'}), Limits{})
	if want := (&TruncatedError{Offset: 19, Want: 7, Have: 3}).Error(); err == nil || err.Error() != want {
		t.Errorf("%v, want %v", err, want)
	}
}

// RFC 8336 section 2.2: "Each ASCII-Origin field in the frame's payload MUST be parsed as an ASCII serialization
// of an origin (RFC 6454, Section 6.2). If parsing fails, the field MUST be ignored."
func TestUnparsableEntriesAreIgnored(t *testing.T) {
	payload := slices.Concat(entry("null"), entry("https://a.example"), entry("https://u@b.example/"), entry(strings.Repeat("x", 9999)))
	origins, ignored, err := Parse(payload, Limits{})
	if err != nil || ignored != 3 || !slices.Equal(origins, mustOrigins(t, "https://a.example")) {
		t.Errorf("%v, %d ignored, %v", origins, ignored, err)
	}
}

// RFC 8336 section 2.2: "Note that the ORIGIN frame does not support wildcard names (e.g., "*.example.com") in
// Origin-Entry."
func TestWildcardIsNoOrigin(t *testing.T) {
	if origins, ignored, err := Parse(entry("https://*.example.com"), Limits{}); err != nil || ignored != 1 || origins != nil {
		t.Errorf("%v, %d ignored, %v", origins, ignored, err)
	}
}

func TestDefaultLimits(t *testing.T) {
	for _, l := range []Limits{{}, {Bytes: -1}} {
		if _, _, err := Parse(entry(strings.Repeat("x", MaxPayload-2)), l); err != nil {
			t.Errorf("a payload of MaxPayload bytes with %+v: %v", l, err)
		}
	}
	if _, _, err := Parse(entry(strings.Repeat("x", MaxPayload-1)), Limits{Bytes: -1}); kind(err) != "limit" {
		t.Errorf("one byte more: %v", err)
	}
	many := bytes.Repeat(entry("https://a"), DefaultMaxOrigins)
	if origins, _, err := Parse(many, Limits{}); err != nil || len(origins) != DefaultMaxOrigins {
		t.Errorf("%d origins, %v", len(origins), err)
	}
	if origins, _, err := Parse(append(many, entry("https://b")...), Limits{Origins: -1}); kind(err) != "limit" || origins != nil {
		t.Errorf("one origin more: %d origins, %v", len(origins), err)
	}
}

// The reader of a connection reuses its buffer.
func TestOriginsShareNoMemoryWithThePayload(t *testing.T) {
	payload := entry("https://a.example")
	origins, _, err := Parse(payload, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 'z'
	}
	if got := origins[0].String(); got != "https://a.example" {
		t.Errorf("the origin became %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f).Payloads {
		f.Add([]byte(v.Payload), v.Limits.Bytes, v.Limits.Origins)
	}
	f.Fuzz(func(t *testing.T, payload []byte, maxBytes, maxOrigins int) {
		limits := Limits{Bytes: maxBytes, Origins: maxOrigins}
		origins, ignored, err := Parse(payload, limits)
		if err != nil {
			if origins != nil || ignored != 0 || kind(err) != "truncated" && kind(err) != "limit" {
				t.Fatalf("%v, %d ignored beside %v", origins, ignored, err)
			}
			return
		}
		if len(payload) > limits.bytes() || len(origins) > limits.origins() || 2*(len(origins)+ignored) > len(payload) {
			t.Fatalf("%d origins, %d ignored from %d bytes with %+v", len(origins), ignored, len(payload), limits)
		}
		// What was read can be written and read again; without ignored entries the bytes are the same.
		again, err := Append(nil, origins)
		if len(payload) > MaxPayload {
			return
		}
		if err != nil || ignored == 0 && !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x, %v", payload, again, err)
		}
		got, ignored, err := Parse(again, limits)
		if err != nil || ignored != 0 || !slices.Equal(got, origins) {
			t.Fatalf("%v became %v, %d ignored, %v", origins, got, ignored, err)
		}
	})
}
