package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// keyHint says which key may have been meant: a similar one here, or the same one elsewhere.
func keyHint(typed string, fields *fieldSet) string {
	if near := nearest(typed, fields.names); near != "" {
		return "did you mean " + near + "?"
	}
	if homes := keyHomes()[typed]; len(homes) > 0 {
		return typed + " belongs into " + strings.Join(homes, " or ")
	}
	return "the keys here are " + strings.Join(fields.names, ", ")
}

// didYouMean is the hint for a misspelt value, empty where none is similar.
func didYouMean(typed string, known []string) string {
	if near := nearest(typed, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// nearest returns the most similar word, if it is similar enough to be what was meant.
func nearest(typed string, known []string) string {
	const longest = 64 // nobody misspells a word that long, and the cost goes with the square
	if len(typed) > longest {
		return ""
	}
	folded := strings.ReplaceAll(strings.ToLower(typed), "-", "_")
	best, word := 1+max(1, len(typed)/3), ""
	for _, k := range known {
		if len(k) <= longest {
			if n := distance(folded, k); n < best && n < len(k) {
				best, word = n, k
			}
		}
	}
	if word == "" && len(folded) > 2 {
		// An abbreviation, or a longer form.
		if i := slices.IndexFunc(known, func(k string) bool {
			return strings.HasPrefix(k, folded) || len(k) > 2 && strings.HasPrefix(folded, k)
		}); i >= 0 {
			return known[i]
		}
	}
	return word
}

// distance counts the changes, insertions, deletions and swaps of neighbours that lead from a to b.
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

// keyHomes lists, for each key, the maps that have it.
var keyHomes = sync.OnceValue(func() map[string][]string {
	homes := map[string][]string{}
	var visit func(t reflect.Type, at string)
	visit = func(t reflect.Type, at string) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("yaml")
			if home := at; !slices.Contains(homes[name], home) {
				homes[name] = append(homes[name], home)
			}
			visit(t.Field(i).Type, name)
		}
	}
	visit(reflect.TypeFor[File](), "the file itself")
	return homes
})
