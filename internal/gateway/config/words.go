package config

import (
	"fmt"
	"strconv"
	"strings"
)

// alternatives prints a, b or c.
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// some prints the first few of a list in quotes, and how many more there are.
func some(words []string) string {
	const shown = 5
	var b strings.Builder
	for i, w := range words {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(words)-shown)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(w))
	}
	return b.String()
}
