package originframe

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/usher-http/usher/authority"
)

const (
	// MaxPayload is the most bytes that Append writes: what every HTTP/2 peer takes in one frame (RFC 9113
	// section 4.2). HTTP/3 has no such limit, but a frame that both can carry is simpler to reason about.
	MaxPayload = 16384
	// DefaultMaxOrigins is what Limits.Origins stands for when it is zero.
	DefaultMaxOrigins = 1000

	lenSize = 2 // Origin-Len
)

// Limits bound what a peer can make us read and keep. The zero Limits are the defaults.
type Limits struct {
	Bytes   int // in one payload; zero or less means MaxPayload
	Origins int // in one payload and, for a Set, in the whole set; zero or less means DefaultMaxOrigins
}

func (l Limits) bytes() int {
	if l.Bytes <= 0 {
		return MaxPayload
	}
	return l.Bytes
}

func (l Limits) origins() int {
	if l.Origins <= 0 {
		return DefaultMaxOrigins
	}
	return l.Origins
}

// Append appends the payload of an ORIGIN frame (RFC 8336 section 2.1) with the origins in the given order:
//
//	payload      = *Origin-Entry
//	Origin-Entry = Origin-Len (16 bits, big-endian) ASCII-Origin
//
// No origins make an empty payload, which is valid and says "the initial origin and no other". An origin that is not
// http or https with a valid host is an error, more than MaxPayload bytes a [*LimitError]; dst then comes back as it was.
func Append(dst []byte, origins []authority.Origin) ([]byte, error) {
	out := dst
	for i, o := range origins {
		if !valid(o) {
			return dst, fmt.Errorf("origin %q (number %d of %d) cannot stand in an ORIGIN frame", o, i+1, len(origins))
		}
		s := o.String()
		if n := len(out) - len(dst) + lenSize + len(s); n > MaxPayload {
			return dst, &LimitError{"bytes in an ORIGIN payload", MaxPayload, n}
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(s)))
		out = append(out, s...)
	}
	return out, nil
}

// valid tells whether o has a serialisation: the zero Origin and those of other schemes have none.
func valid(o authority.Origin) bool {
	return o.Scheme() != authority.NoScheme && o.Authority().IsValid()
}

// Parse reads the payload of an ORIGIN frame. The origins come in the order of the frame, repeated ones too. An
// entry that is no ASCII serialisation of an origin (see [ParseOrigin]; an empty one too) counts in ignored and does no
// other harm (RFC 8336 section 2.2: "If parsing fails, the field MUST be ignored").
//
// The error is a [*TruncatedError] or a [*LimitError]; there are no origins beside it. The origins share no
// memory with the payload.
func Parse(payload []byte, limits Limits) (origins []authority.Origin, ignored int, err error) {
	if err := check(payload, limits); err != nil {
		return nil, 0, err
	}
	for entry := range entries(payload) {
		o, ok := parseEntry(entry)
		if !ok {
			ignored++
			continue
		}
		if len(origins) == limits.origins() {
			return nil, 0, &LimitError{"origins in an ORIGIN payload", limits.origins(), len(origins) + 1}
		}
		origins = append(origins, o)
	}
	return origins, ignored, nil
}

// parseEntry copies each entry by itself, so that one origin that is kept does not keep a whole payload.
func parseEntry(entry []byte) (authority.Origin, bool) {
	if len(entry) == 0 || len(entry) > maxOrigin {
		return authority.Origin{}, false
	}
	o, err := ParseOrigin(string(entry))
	return o, err == nil
}

// check tells whether the payload is within the limit and consists of whole entries.
func check(payload []byte, limits Limits) error {
	if limit := limits.bytes(); len(payload) > limit {
		return &LimitError{"bytes in an ORIGIN payload", limit, len(payload)}
	}
	for at := 0; at < len(payload); {
		have, want := len(payload)-at, lenSize
		if have >= lenSize {
			want += int(binary.BigEndian.Uint16(payload[at:]))
		}
		if have < want {
			return &TruncatedError{Offset: at, Want: want, Have: have}
		}
		at += want
	}
	return nil
}

// entries yields each ASCII-Origin of a payload that passed check.
func entries(payload []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := payload; len(rest) > 0; {
			end := lenSize + int(binary.BigEndian.Uint16(rest))
			if !yield(rest[lenSize:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}
