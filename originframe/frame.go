package originframe

import "github.com/usher-http/usher/authority"

// Type is the type of an ORIGIN frame, in HTTP/2 (RFC 8336 section 2.1) and in HTTP/3 (RFC 9412 section 2.1).
const Type = 0xc

const (
	frameHeader  = 9          // RFC 9113 section 4.1
	reservedBit  = 1 << 31    // of the stream identifier; "MUST be ignored when receiving" (RFC 9113 section 4.1)
	incompatible = byte(0x0f) // flags 0x1, 0x2, 0x4 and 0x8 (RFC 8336 section 2.2)
)

// AppendFrame appends a whole HTTP/2 frame: its header (type ORIGIN, no flags, stream 0) and the payload that
// [Append] makes. The errors are those of Append; dst then comes back as it was.
func AppendFrame(dst []byte, origins []authority.Origin) ([]byte, error) {
	out, err := Append(append(dst, make([]byte, frameHeader)...), origins)
	if err != nil {
		return dst, err
	}
	header := out[len(dst):]
	n := len(header) - frameHeader
	header[0], header[1], header[2] = byte(n>>16), byte(n>>8), byte(n)
	header[3] = Type
	return out, nil
}

// Connection is what a client knows about the HTTP/2 connection that a frame came on. The zero Connection
// accepts no frame.
type Connection struct {
	ALPN  string // the protocol that TLS negotiated, "h2"; "" for cleartext HTTP/2 (h2c)
	Proxy bool   // the client is configured to use a proxy for it, tunnels included (RFC 8336 appendix A, step 1)
}

// Accept tells whether a client takes notice of an HTTP/2 frame: it is an ORIGIN frame, came on stream 0 of a
// connection that negotiated h2, not through a proxy, and none of the flags 0x1, 0x2, 0x4 and 0x8 is set (RFC 8336
// section 2.2). The other flags and the reserved bit of the stream identifier change nothing. A frame that is not
// accepted is ignored, whatever it holds; it is no error. An intermediary never forwards one.
func Accept(typ, flags byte, streamID uint32, c Connection) bool {
	return typ == Type &&
		c.ALPN == "h2" && !c.Proxy &&
		streamID&^reservedBit == 0 &&
		flags&incompatible == 0
}
