package http1

import "testing"

func TestAppend(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"a status line", string(AppendStatusLine(nil, 421, "Misdirected Request")), "HTTP/1.1 421 Misdirected Request\r\n"},
		// RFC 9112 section 4: "A server MUST send the space that separates the status-code from the reason-phrase even when the reason-phrase
		// is absent".
		{"a status line without a reason", string(AppendStatusLine(nil, 299, "")), "HTTP/1.1 299 \r\n"},
		{"a field", string(AppendField(nil, "x-forwarded-for", "a b")), "X-Forwarded-For: a b\r\n"},
		{"a field behind others", string(AppendField([]byte("a-b"), "c", "")), "a-bC: \r\n"},
		{"a length", string(AppendLength(nil, 1234567890123)), "Content-Length: 1234567890123\r\n"},
		{"a chunk's size", string(AppendChunkSize(nil, 255)), "ff\r\n"},
		{"the end", string(AppendLastChunk(nil, nil)), "0\r\n\r\n"},
		{"the end with trailers", string(AppendLastChunk(nil, fields("a", "b", "content-length", "5", "x", "y\r\nz: "))), "0\r\nA: b\r\n\r\n"},
		// What could end a line, or is no field, is not sent.
		{"a value with CR LF", string(AppendField(nil, "a", "b\r\nc: d")), ""},
		{"a value with LF", string(AppendField(nil, "a", "b\nc: d")), ""},
		{"a value with NUL", string(AppendField(nil, "a", "b\x00")), ""},
		{"a name with a colon", string(AppendField(nil, "a: b\r\nc", "d")), ""},
		{"no name", string(AppendField(nil, "", "d")), ""},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}
