package originframe

import "testing"

var h2 = Connection{ALPN: "h2"}

// RFC 8336 section 2.2: "The ORIGIN frame MUST be sent on stream 0; an ORIGIN frame on any other stream is invalid
// and MUST be ignored."
func TestOnStreamZeroOnly(t *testing.T) {
	for bit := range 32 {
		stream := uint32(1) << bit
		// RFC 9113 section 4.1: the reserved bit "MUST be ignored when receiving".
		if got, want := Accept(Type, 0, stream, h2), stream == 1<<31; got != want {
			t.Errorf("stream %#x: %v, want %v", stream, got, want)
		}
	}
	if !Accept(Type, 0, 0, h2) {
		t.Error("not taken on stream 0")
	}
}

// RFC 8336 section 2.2: "The first four flags (0x1, 0x2, 0x4, and 0x8) are reserved for backwards-incompatible
// changes; therefore, when any of them are set, the ORIGIN frame containing them MUST be ignored by clients
// conforming to this specification [...]. The remaining flags are reserved for backwards-compatible changes and do
// not affect processing".
func TestFlags(t *testing.T) {
	for flags := range 256 {
		want := flags%16 == 0
		if got := Accept(Type, byte(flags), 0, h2); got != want {
			t.Errorf("flags %#x: %v, want %v", flags, got, want)
		}
	}
}

// RFC 8336 section 2.2: "it MUST be ignored when received on a connection with the "h2c" protocol identifier."
// "Clients configured to use a proxy MUST ignore any ORIGIN frames received from it."
func TestConnections(t *testing.T) {
	for _, c := range []Connection{{}, {ALPN: "h2c"}, {ALPN: "H2"}, {ALPN: "h2", Proxy: true}, {Proxy: true}} {
		if Accept(Type, 0, 0, c) {
			t.Errorf("taken on %+v", c)
		}
	}
}

func TestOtherTypes(t *testing.T) {
	for typ := range 256 {
		if got := Accept(byte(typ), 0, 0, h2); got != (typ == 12) {
			t.Errorf("type %#x: %v", typ, got)
		}
	}
}
