package accesslog

import (
	"log/slog"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// AppendText appends the line and its newline as slog.TextHandler writes them. The time's year is one of 0 to 9999; a zero time
// is left out.
func AppendText(dst []byte, t time.Time, level slog.Level, l *Line) []byte {
	if !t.IsZero() {
		dst = append(dst, "time="...)
		dst = appendTimeMillis(dst, t)
		dst = append(dst, ' ')
	}
	dst = append(dst, "level="...)
	dst = append(dst, level.String()...)
	dst = append(dst, " msg="+message+" listener="...)
	dst = appendText(dst, l.Listener)
	dst = append(dst, " proto="...)
	dst = appendText(dst, l.Proto)
	dst = append(dst, " remote="...)
	dst = appendText(dst, l.Remote)
	dst = append(dst, " method="...)
	dst = appendText(dst, l.Method)
	dst = append(dst, " authority="...)
	dst = appendText(dst, l.Authority)
	dst = append(dst, " path="...)
	dst = appendText(dst, l.Path)
	dst = append(dst, " status="...)
	dst = strconv.AppendInt(dst, int64(l.Status), 10)
	dst = append(dst, " bytes="...)
	dst = strconv.AppendInt(dst, l.Bytes, 10)
	dst = append(dst, " duration="...)
	dst = appendTextSeconds(dst, l.Duration)
	dst = append(dst, " verdict="...)
	dst = appendText(dst, l.Verdict)
	dst = append(dst, " reason="...)
	dst = appendText(dst, l.Reason)
	if l.Site != "" {
		dst = append(dst, " site="...)
		dst = appendText(dst, l.Site)
	}
	if l.TLS != "" {
		dst = append(dst, " sni="...)
		dst = appendText(dst, l.SNI)
		dst = append(dst, " handshake_site="...)
		dst = appendText(dst, l.HandshakeSite)
		dst = append(dst, " tls="...)
		dst = appendText(dst, l.TLS)
		dst = append(dst, " resumed="...)
		dst = strconv.AppendBool(dst, l.Resumed)
	}
	if l.Upstream != "" {
		dst = append(dst, " upstream="...)
		dst = appendText(dst, l.Upstream)
	}
	if l.Aborted {
		dst = append(dst, " aborted=true"...)
	}
	if l.WouldRefuse != "" {
		dst = append(dst, " would_refuse="...)
		dst = appendText(dst, l.WouldRefuse)
	}
	if l.Cure != "" {
		dst = append(dst, " cure="...)
		dst = appendText(dst, l.Cure)
	}
	if l.Error != "" {
		dst = append(dst, " error="...)
		dst = appendText(dst, l.Error)
	}
	return append(dst, '\n')
}

// appendText appends s, in quotes where it could be taken for something else.
func appendText(dst []byte, s string) []byte {
	if quoted(s) {
		return appendQuoted(dst, s)
	}
	return append(dst, s...)
}

// appendQuoted is strconv.AppendQuote, which looks at each character more closely than a sentence of ours needs.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func quoted(s string) bool {
	for i := range len(s) {
		if !plainText[s[i]] {
			return quotedFrom(s[i:])
		}
	}
	return s == ""
}

// quotedFrom looks at what is not plain ASCII.
func quotedFrom(s string) bool {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if !plainText[s[i]] {
				return true
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return true
		}
		i += size
	}
	return false
}

// plainText are the ASCII characters that need no quotes. A backslash alone needs none: it escapes only within them.
var plainText = func() (plain [256]bool) {
	for c := '!'; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '='
	}
	return plain
}()

// appendTextSeconds writes d as slog's text writes d.Seconds(): with an exponent below 100 microseconds and from a million
// seconds on.
func appendTextSeconds(dst []byte, d time.Duration) []byte {
	if d >= 100*time.Microsecond && d < time.Second {
		return appendFraction(append(dst, '0'), d)
	}
	return strconv.AppendFloat(dst, d.Seconds(), 'g', -1, 64)
}
