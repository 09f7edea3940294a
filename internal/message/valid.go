package message

// Which bytes names and values may have. Every message that enters is checked with these, whatever protocol it came by, so that
// nothing that leaves can end a line early or begin another.

// ValidName reports whether a field name is a token (RFC 9110 section 5.6.2) in lower case.
func ValidName(name string) bool {
	for i := range len(name) {
		if !nameByte[name[i]] {
			return false
		}
	}
	return name != ""
}

// ValidToken reports whether s is a token in whatever case: a method, say.
func ValidToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !nameByte[c] && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// ValidValue reports whether a field value may be passed on: no control character but the tab, which is not at the ends, and no
// space at the ends (RFC 9110 section 5.5, RFC 9113 section 8.2.1).
func ValidValue(value string) bool {
	i := 0
	for ; i+8 <= len(value); i += 8 {
		if suspicious(word(value[i:i+8])) && !plain(value[i:i+8]) {
			return false
		}
	}
	return plain(value[i:]) && (value == "" || !blank(value[0]) && !blank(value[len(value)-1]))
}

// plain reports whether there is no control character but the tab.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
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

func blank(c byte) bool { return c == ' ' || c == '\t' }

// ValidTarget reports whether a request target may be passed on: visible ASCII, and bytes past it, which are seen in the wild and
// end nothing (RFC 9112 section 3.2).
func ValidTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}

var nameByte = func() (ok [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" {
		ok[c] = true
	}
	return ok
}()

// ParseLength reads a Content-Length: decimal digits and nothing else (RFC 9110 section 8.6).
func ParseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// HopByHop reports whether a field is about one connection alone, so that it is never passed on (RFC 9110 section 7.6.1, RFC 9113
// section 8.2.2). TE is passed on in one form only: see its readers. Trailer is none of them: see Fields.Announcing.
func HopByHop(name string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te",
		"proxy-authenticate", "proxy-authorization", "http2-settings":
		return true
	}
	return false
}
