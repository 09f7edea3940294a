package http1

import (
	"strconv"

	"github.com/usher-http/usher/internal/message"
)

// AppendStatusLine begins an answer. The status has three digits; the reason may be empty.
//
//	status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF
func AppendStatusLine(b []byte, status int, reason string) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// AppendLine appends a field line as it is. Nothing is checked: that is for whoever made the name and the value, or looked at them before.
func AppendLine(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendField appends a field line, its name in the usual case: Content-Type. It leaves out what could be taken for the end of a line
// or the beginning of another one.
func AppendField(b []byte, name, value string) []byte {
	if !message.ValidName(name) || !message.ValidValue(value) {
		return b
	}
	at := len(b)
	b = AppendLine(b, name, value)
	first := true
	for i, c := range b[at : at+len(name)] {
		if first && 'a' <= c && c <= 'z' {
			b[at+i] = c - ('a' - 'A')
		}
		first = c == '-'
	}
	return b
}

// AppendLength appends Content-Length.
func AppendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// AppendChunkSize begins a chunk of n bytes of content; n is not 0. CR LF follows behind the content.
func AppendChunkSize(b []byte, n int) []byte {
	b = strconv.AppendInt(b, int64(n), 16)
	return append(b, "\r\n"...)
}

// AppendLastChunk ends chunked content. Trailers that may not stand there are left out.
func AppendLastChunk(b []byte, trailers message.Fields) []byte {
	b = append(b, "0\r\n"...)
	for i := range trailers {
		if f := &trailers[i]; Trailing(f.Name) {
			b = AppendField(b, f.Name, f.Value)
		}
	}
	return append(b, "\r\n"...)
}
