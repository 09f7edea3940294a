package h2

import "github.com/usher-http/usher/internal/message"

// validValue is message.ValidValue, eight bytes at a time: values are most of what a client sends.
func validValue(v string) bool {
	i := 0
	for ; i+8 <= len(v); i += 8 {
		if suspicious(word(v[i : i+8])) {
			return message.ValidValue(v)
		}
	}
	for ; i < len(v); i++ {
		if c := v[i]; c < ' ' || c == 0x7f {
			return message.ValidValue(v)
		}
	}
	return v == "" || v[0] != ' ' && v[len(v)-1] != ' '
}

func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// suspicious reports whether one of eight bytes may be a control character. Each byte is looked at on its own: the top bit is set
// aside, so nothing carries over into the next one.
func suspicious(w uint64) bool {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	low := w &^ tops
	control := ^(low + (0x80-' ')*ones) // top bit: the byte, but for its own top bit, is below the space
	del := low + ones                   // top bit: it is 0x7f
	return (control|del)&^w&tops != 0
}

// validScheme is RFC 3986 section 3.1: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ).
func validScheme(s string) bool {
	switch s {
	case "https", "http":
		return true
	case "":
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		other := s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return true
}
