package accesslog

import (
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the line and its newline as slog.JSONHandler writes them behind a JSONWriter. The time's year is one of 0 to 9999; a zero time
// is left out.
func AppendJSON(dst []byte, t time.Time, level slog.Level, l *Line) []byte {
	dst = append(dst, '{')
	if !t.IsZero() {
		dst = append(dst, `"time":"`...)
		dst = appendTime(dst, t)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"level":"`...)
	dst = append(dst, level.String()...)
	dst = append(dst, `","msg":"`+message+`","listener":`...)
	dst = appendJSON(dst, l.Listener)
	dst = append(dst, `,"proto":`...)
	dst = appendJSON(dst, l.Proto)
	dst = append(dst, `,"remote":`...)
	dst = appendJSON(dst, l.Remote)
	dst = append(dst, `,"method":`...)
	dst = appendJSON(dst, l.Method)
	dst = append(dst, `,"authority":`...)
	dst = appendJSON(dst, l.Authority)
	dst = append(dst, `,"path":`...)
	dst = appendJSON(dst, l.Path)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(l.Status), 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, l.Bytes, 10)
	dst = append(dst, `,"duration":`...)
	dst = appendJSONSeconds(dst, l.Duration)
	dst = append(dst, `,"verdict":`...)
	dst = appendJSON(dst, l.Verdict)
	dst = append(dst, `,"reason":`...)
	dst = appendJSON(dst, l.Reason)
	if l.Site != "" {
		dst = append(dst, `,"site":`...)
		dst = appendJSON(dst, l.Site)
	}
	if l.TLS != "" {
		dst = append(dst, `,"sni":`...)
		dst = appendJSON(dst, l.SNI)
		dst = append(dst, `,"handshake_site":`...)
		dst = appendJSON(dst, l.HandshakeSite)
		dst = append(dst, `,"tls":`...)
		dst = appendJSON(dst, l.TLS)
		dst = append(dst, `,"resumed":`...)
		dst = strconv.AppendBool(dst, l.Resumed)
	}
	if l.Upstream != "" {
		dst = append(dst, `,"upstream":`...)
		dst = appendJSON(dst, l.Upstream)
	}
	if l.Aborted {
		dst = append(dst, `,"aborted":true`...)
	}
	if l.WouldRefuse != "" {
		dst = append(dst, `,"would_refuse":`...)
		dst = appendJSON(dst, l.WouldRefuse)
	}
	if l.Cure != "" {
		dst = append(dst, `,"cure":`...)
		dst = appendJSON(dst, l.Cure)
	}
	if l.Error != "" {
		dst = append(dst, `,"error":`...)
		dst = appendJSON(dst, l.Error)
	}
	return append(dst, "}\n"...)
}

// appendJSON appends s as a JSON string.
func appendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if !plainJSON[s[i]] {
			dst = append(dst, s[:i]...)
			dst = appendEscaped(dst, s[i:])
			return append(dst, '"')
		}
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

// plainJSON are the bytes that stand for themselves in a JSON string, whatever comes before and behind them.
var plainJSON = func() (plain [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendEscaped is for what is not plain: control characters, also those behind ASCII, which terminals act on; what ends or begins an escape, bytes that are no UTF-8, and the two
// separators that JavaScript takes for the end of a line.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		c, size := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case c == '"', c == '\\':
			dst = append(dst, '\\', byte(c))
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < ' ', c >= 0x7f && c < 0xa0:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		case c == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case c == '\u2028', c == '\u2029':
			dst = append(dst, `\u202`...)
			dst = append(dst, hex[c&0xf])
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}

// appendJSONSeconds writes d as encoding/json writes d.Seconds().
func appendJSONSeconds(dst []byte, d time.Duration) []byte {
	if d >= time.Microsecond && d < time.Second {
		return appendFraction(append(dst, '0'), d)
	}
	s := d.Seconds()
	if d == 0 || d >= time.Microsecond || d <= -time.Microsecond {
		return strconv.AppendFloat(dst, s, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, s, 'e', -1, 64)
	// The exponent, of two digits here, has no zero in front in JSON: e-09 is e-9.
	n := len(dst)
	dst[n-2] = dst[n-1]
	return dst[:n-1]
}
