package accesslog

import "io"

// JSONWriter returns a writer for slog.JSONHandler. The handler leaves the control characters U+007F to U+009F as they are, and terminals
// act on them; they are escaped on the way to w. Each Write is one of w.
func JSONWriter(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ to io.Writer }

func (w jsonWriter) Write(p []byte) (int, error) {
	at := controlIn(p)
	if at == len(p) {
		return w.to.Write(p)
	}
	const hex = "0123456789abcdef"
	var out []byte
	for rest := p; ; at = controlIn(rest) {
		// They stand in strings alone, and never behind a backslash: what that escapes is ASCII.
		if out = append(out, rest[:at]...); at == len(rest) {
			break
		}
		c, size := rest[at], 1
		if c != 0x7f {
			c, size = rest[at+1], 2
		}
		out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		rest = rest[at+size:]
	}
	if _, err := w.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// controlIn returns where the first such character is in p, which is UTF-8; len(p): there is none.
func controlIn(p []byte) int {
	for i, c := range p {
		if c == 0x7f || c == 0xc2 && i+1 < len(p) && p[i+1] < 0xa0 {
			return i
		}
	}
	return len(p)
}
