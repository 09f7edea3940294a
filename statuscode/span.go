package statuscode

import (
	"strconv"
	"strings"
)

// A SpanKind says what a span is.
type SpanKind int

// The kinds.
const (
	Words    SpanKind = iota
	CodeSpan          // set in a typewriter face
	Strong            // stands out
	CodeLink          // the number of a status code, a reference to it
)

// A Span is a piece of a line of text.
type Span struct {
	Kind SpanKind
	Text string
	Code int // of a CodeLink
}

// Spans takes a line of text apart: `code`, **strong** and [404]. What is none of them is words.
func Spans(s string) []Span {
	var spans []Span
	words := func(t string) {
		if t != "" {
			spans = append(spans, Span{Kind: Words, Text: t})
		}
	}
	for s != "" {
		i := strings.IndexAny(s, "`[*")
		if i < 0 {
			break
		}
		span, rest, ok := marked(s[i:])
		if !ok {
			words(s[:i+1])
			s = s[i+1:]
			continue
		}
		words(s[:i])
		spans = append(spans, span)
		s = rest
	}
	words(s)
	return spans
}

// marked takes what s begins with, if that is no words.
func marked(s string) (span Span, rest string, ok bool) {
	if t, found := strings.CutPrefix(s, "`"); found {
		text, rest, ok := strings.Cut(t, "`")
		return Span{Kind: CodeSpan, Text: text}, rest, ok
	}
	if t, found := strings.CutPrefix(s, "**"); found {
		text, rest, ok := strings.Cut(t, "**")
		return Span{Kind: Strong, Text: text}, rest, ok
	}
	if len(s) < 5 || s[0] != '[' || s[4] != ']' {
		return Span{}, "", false
	}
	n, err := strconv.Atoi(s[1:4])
	return Span{Kind: CodeLink, Text: s[1:4], Code: n}, s[5:], err == nil && n >= 100
}
