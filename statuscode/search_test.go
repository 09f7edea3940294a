package statuscode

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// numbers writes the codes of a result.
func numbers(list []*Code) string {
	var words []string
	for _, c := range list {
		words = append(words, fmt.Sprint(c.Number))
	}
	return strings.Join(words, " ")
}

func TestSearch(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"421", "421"},
		{"misdirected", "421"},
		{"Misdirected Request", "421"},
		{"misdriected", "421"},
		{"misdirectd requst", "421"},
		{"coalescing", "421"},
		{"domain fronting", "421"},
		{"42", "421 422 423 424 425 426 428 429"},
		{"1XX", "100 101 102 103 104"},
		{"not found", "404 302"},
		{"rate limit", "429"},
		{"throtling", "429"},
		{"gatway timeot", "504"},
		{"captive portal", "511"},
		{"teapot", "418"},
		{"unprocessable entity", "422"},
		{"payload too large", "413"},
		{"websocket", "101 426"},
		{"423", "423"},
		{"too mny requests", "429"},
		{"permanently redirected", "301 308"},
		{"upstream timed out", "504"},  // nginx's log
		{"no healthy upstream", "503"}, // Envoy's answer
		{"already exists", "409"},
		{"cookie too big", "431"},
		{"sni mismatch", "421"},
		{"", ""},
		{" \t", ""},
		{"zzz", ""},
		{"misdirected zzz", ""},
		{"<script>alert(1)</script>", ""},
		{"\xff\xfe", ""},
		{"💥", ""},
	} {
		if got := numbers(Search(test.query)); got != test.want {
			t.Errorf("%q: %s, want %s", test.query, got, test.want)
		}
	}
}

// TestSearchNumbered: a code that is named by its number is what was asked for, whatever stands around it: a status line, a line of a log.
func TestSearchNumbered(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"HTTP/1.1 404 Not Found", "404"},
		{"HTTP 404", "404"},
		{"http 500", "500"},
		{"HTTP/2 503", "503"},
		{"HTTP/1.0 200 OK", "200"},
		{"HTTP/3 204", "204"},
		{"status code 308", "308"},
		{"what is 404", "404"},
		{"curl: (22) The requested URL returned error: 503", "503"},
		{"308 vs 301", "308 301"},
		{"404 404", "404"},
		{"port 443", ""},  // no code
		{"404x", ""},      // no number
		{"error 522", ""}, // none of the registry's
	} {
		if got := numbers(Search(test.query)); got != test.want {
			t.Errorf("%q: %s, want %s", test.query, got, test.want)
		}
	}
}

// TestSearchForms: a word finds what its other forms find, and not just the one text that has it so.
func TestSearchForms(t *testing.T) {
	for _, test := range []struct{ query, first string }{
		{"redirects", "307 308 301 302 303"}, {"redirected", "307 308 301 302 303"}, {"redirecting", "307 308 301 302 303"},
		{"locking", "423"}, {"locks", "423"}, {"uploading", "104 100"},
	} {
		if got := numbers(Search(test.query)); !strings.HasPrefix(got+" ", test.first+" ") {
			t.Errorf("%q finds %s, want %s first", test.query, got, test.first)
		}
	}
	if got := Search("caching"); len(got) < 10 || got[0].Number == 408 {
		t.Errorf("%q finds %s", "caching", numbers(got))
	}
}

// TestSearchNames: every code is the best hit for its own name, and for its name with a slip.
func TestSearchNames(t *testing.T) {
	for _, c := range All() {
		if c.State == Unused {
			continue
		}
		queries := []string{c.Name, strings.ToUpper(c.Name)}
		if slip := []byte(c.Name); len(slip) > 2 {
			i := len(slip) - 3
			slip[i], slip[i+1] = slip[i+1], slip[i]
			queries = append(queries, string(slip))
		}
		for _, q := range queries {
			hits := Search(q)
			if len(hits) == 0 || hits[0] != c {
				t.Errorf("%q finds %s, want %d first", q, numbers(hits), c.Number)
			}
		}
	}
}

func TestSlips(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"found", "found", 0}, {"fuond", "found", 1}, {"foud", "found", 1}, {"founnd", "found", 1}, {"fount", "found", 1},
		{"misdriected", "misdirected", 1}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1},
	} {
		if got := slips(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// FuzzSearch: whatever is asked for, the answer is codes, each at most once, and what is found for a query is found again.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{"misdirected", "4xx", "'; drop table codes", strings.Repeat("a ", 500), "\x00\xff", "É"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		list := Search(query)
		seen := map[*Code]bool{}
		for _, c := range list {
			if seen[c] || Lookup(c.Number) != c {
				t.Fatalf("%q: %s", query, numbers(list))
			}
			seen[c] = true
		}
		if !slices.Equal(list, Search(query)) {
			t.Fatalf("%q: another answer the second time", query)
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	Search("warm")
	for b.Loop() {
		Search("misdriected request on a coalesced connection of another host")
	}
}
