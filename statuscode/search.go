package statuscode

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What a search looks at. More is cut off: nobody types that much, and what takes the guide apart for fun shall not cost
// more than what uses it.
const (
	mostQuery = 100 // runes
	mostTerms = 8
)

// Search returns the codes that fit a query, best first: digits ("42", "4xx"), names, words of the summary and of the text.
// All terms must fit. Longer words may have a letter or two wrong. An empty query finds nothing. Codes that are named by their
// whole numbers are the answer, whatever stands around them: people paste status lines ("HTTP/1.1 404 Not Found").
func Search(query string) []*Code {
	terms := words(clip(query, mostQuery))
	if len(terms) == 0 {
		return nil
	}
	terms = terms[:min(len(terms), mostTerms)]
	if list := named(terms); len(list) > 0 {
		return list
	}
	type hit struct {
		code  *Code
		score int
	}
	var hits []hit
	for _, e := range entries() {
		if score := e.score(terms); score > 0 {
			hits = append(hits, hit{e.code, score})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return b.score - a.score })
	var list []*Code
	for _, h := range hits {
		// What only the small print has is no answer where a name fits.
		if h.score*8 >= hits[0].score {
			list = append(list, h.code)
		}
	}
	return list
}

// named returns the codes whose numbers are among the terms, in that order.
func named(terms []string) []*Code {
	var list []*Code
	for _, t := range terms {
		if c, err := Find(t); err == nil && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

func clip(s string, runes int) string {
	for i := range s {
		if runes--; runes < 0 {
			return s[:i]
		}
	}
	return s
}

// words takes text apart at everything that is neither letter nor digit.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// How much a word is worth by where it stands.
const (
	inNumber  = 2000
	inName    = 800
	inWords   = 400
	inSummary = 60
	inText    = 8
)

// score rates an entry: 0 where a term fits nowhere.
func (e *entry) score(terms []string) int {
	total := 0
	for _, t := range terms {
		best := 0
		if strings.HasPrefix(strconv.Itoa(e.code.Number), t) || t == e.code.Class().Digits() {
			best = inNumber
		}
		for _, field := range e.fields {
			if field.worth > best {
				best = max(best, field.worth*field.fits(t)/fitsWhole)
			}
		}
		if best == 0 {
			return 0
		}
		total += best
	}
	return total
}

// How well a term fits a word.
const (
	fitsWhole = 8
	fitsStart = 6
	fitsNear  = 4
)

// fits returns how well the term fits the best of the field's words, 0 for not at all.
func (f *field) fits(term string) int {
	best := 0
	for _, w := range f.words {
		switch {
		case w == term:
			return fitsWhole
		case len(term) >= 3 && strings.HasPrefix(w, term), w[0] == term[0] && stem(w) == stem(term):
			best = max(best, fitsStart)
		case f.worth > inText && best < fitsNear && near(term, w):
			best = fitsNear
		}
	}
	return best
}

// stem takes off what English puts behind a word, so that caching finds caches, and redirected finds redirect.
func stem(w string) string {
	for _, end := range [...]string{"ing", "ed", "es", "s", "e"} {
		if s, found := strings.CutSuffix(w, end); found && len(s) >= 4 {
			return s
		}
	}
	return w
}

// near reports whether two words differ by a slip of the fingers: one letter wrong, missing, doubled or swapped with its
// neighbour in words of four to seven letters, two in longer ones; of three letters the fourth may be missing.
func near(a, b string) bool {
	most := 0
	switch n := min(len(a), len(b)); {
	case n >= 8:
		most = 2
	case n >= 4, n == 3 && max(len(a), len(b)) == 4:
		most = 1
	}
	if most == 0 || a[0] != b[0] && most < 2 || len(a)-len(b) > most || len(b)-len(a) > most {
		return false
	}
	if digits(a) || digits(b) {
		return false // 404 is no slip for 403
	}
	return slips(a, b) <= most
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}

// slips is the number of bytes to insert, remove, replace or swap with their neighbours (optimal string alignment).
func slips(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, above, row = above, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := above[j]
			if a[i] != b[j] {
				cost++
			}
			cost = min(cost, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, before[j-1]+1)
			}
			row[j+1] = cost
		}
	}
	return row[len(b)]
}
