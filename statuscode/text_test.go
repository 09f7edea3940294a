package statuscode

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A part is one text of the guide, with its place.
type part struct {
	place, text string
}

// parts lists everything that was written about a code.
func (c *Code) parts() []part {
	var list []part
	add := func(what, text string) { list = append(list, part{fmt.Sprintf("%d %s", c.Number, what), text}) }
	texts := func(what string, t Text) {
		for i, b := range t {
			add(fmt.Sprintf("%s %d", what, i+1), b.Text)
		}
	}
	add("summary", c.Summary)
	texts("when", c.Server.When)
	texts("respond", c.Server.Respond)
	for _, h := range c.Server.Headers {
		add("header "+h.Name, h.Note)
	}
	texts("body", c.Server.Body)
	for i, p := range c.Server.Pitfalls {
		add(fmt.Sprintf("pitfall %d", i+1), p)
	}
	texts("action", c.Client.Action)
	add("retry", c.Client.Retry)
	texts("retries", c.Client.Retries)
	texts("caches", c.Client.Caches)
	for _, d := range c.Depth {
		texts(d.Title, d.Text)
	}
	for _, n := range c.Confused {
		add(fmt.Sprintf("confused with %d", n.Code.Number), n.Difference)
	}
	return list
}

// TestTexts: every part is there and well written: sentences end, marks are closed, references lead somewhere.
func TestTexts(t *testing.T) {
	for _, c := range All() {
		for _, p := range c.parts() {
			if p.text == "" {
				t.Errorf("%s is empty", p.place)
				continue
			}
			if !strings.HasSuffix(p.place, " retry") && !strings.ContainsAny(p.text[len(p.text)-1:], ".:") {
				t.Errorf("%s does not end: %q", p.place, p.text)
			}
			for _, s := range Spans(p.text) {
				if s.Kind == Words && strings.ContainsAny(s.Text, "`[]<>") || s.Kind == Words && strings.Contains(s.Text, "**") {
					t.Errorf("%s has a stray mark: %q", p.place, s.Text)
				}
				if s.Kind == CodeLink && (Lookup(s.Code) == nil || s.Code == c.Number) {
					t.Errorf("%s refers to %d", p.place, s.Code)
				}
			}
		}
		if n := len(c.Summary); n > 170 || strings.Count(c.Summary, ". ") > 0 {
			t.Errorf("the summary of %d is no short sentence: %q", c.Number, c.Summary)
		}
		if len(c.Client.Retry) > 50 || strings.HasSuffix(c.Client.Retry, ".") {
			t.Errorf("%d: %q is no phrase", c.Number, c.Client.Retry)
		}
	}
}

// TestNeighbours: related codes are of the same class, confused ones are others, and none is named twice.
func TestNeighbours(t *testing.T) {
	for _, c := range All() {
		for i, r := range c.Related {
			if r.Class() != c.Class() || r == c || i > 0 && r.Number <= c.Related[i-1].Number {
				t.Errorf("%d is related to %d", c.Number, r.Number)
			}
		}
		seen := map[*Code]bool{c: true}
		for _, n := range c.Confused {
			if seen[n.Code] {
				t.Errorf("%d is confused with %d twice, or with itself", c.Number, n.Code.Number)
			}
			seen[n.Code] = true
		}
	}
}

// rfcs are the documents that the guide cites.
var rfcs = []string{
	"2295", "2324", "2518", "2774", "3229", "4331", "4918", "5842", "5861", "6066", "6455", "6585", "6750", "6797", "7168", "7231", "7240",
	"7538", "7725", "7838", "8288", "8297", "8336", "8441", "8446", "8470", "8910", "8952", "9110", "9111", "9112", "9113", "9114",
	"9209", "9457",
}

func TestSources(t *testing.T) {
	cited := map[string]bool{}
	for _, c := range All() {
		seen := map[string]bool{}
		for _, s := range append([]Source{c.Defined}, c.Sources...) {
			if number, ok := strings.CutPrefix(s.Name, "RFC "); ok {
				number, _, _ = strings.Cut(number, ",")
				cited[number] = true
				if !slices.Contains(rfcs, number) {
					t.Errorf("%d cites RFC %s", c.Number, number)
				}
				if !strings.HasPrefix(s.URL, "https://www.rfc-editor.org/rfc/rfc"+number+".html") {
					t.Errorf("%d: %s leads to %s", c.Number, s.Name, s.URL)
				}
			}
			if !strings.HasPrefix(s.URL, "https://") || strings.ContainsAny(s.URL, " <>\"") {
				t.Errorf("%d: %s leads to %q", c.Number, s.Name, s.URL)
			}
		}
		for _, s := range c.Sources {
			if seen[s.Name] || s.Note == "" {
				t.Errorf("%d cites %s twice or without a reason", c.Number, s.Name)
			}
			seen[s.Name] = true
		}
	}
	for _, number := range rfcs {
		if !cited[number] {
			t.Errorf("nothing cites RFC %s", number)
		}
	}
}

// inside are the codes that are no status of a response but of a part of one: the example has them in the content of a 207.
var inside = []int{208, 424}

// TestExamples: every message is HTTP/1.1 as net/http reads it, its length is right, and the exchange ends in the code, or passes
// by it where it is an interim one.
func TestExamples(t *testing.T) {
	for _, c := range All() {
		shown := false
		for _, e := range c.Examples {
			r := readRequest(t, c, e)
			for i, m := range e.Messages[1:] {
				status, name, body := readResponse(t, c, r, m)
				if last := i == len(e.Messages)-2; last != (status >= 200 || status == 101) {
					t.Errorf("%d, %s: message %d has status %d", c.Number, e.Title, i+2, status)
				}
				if status == c.Number || slices.Contains(inside, c.Number) && strings.Contains(body, fmt.Sprintf("HTTP/1.1 %d %s<", c.Number, c.Name)) {
					shown = true
				}
				if k := Lookup(status); k == nil || k.State != Unused && k.Name != name {
					t.Errorf("%d, %s: %d has the name %q", c.Number, e.Title, status, name)
				}
			}
			for _, m := range e.Messages {
				for line := range strings.Lines(m) {
					if len(line) > 77 {
						t.Errorf("%d, %s: too wide: %q", c.Number, e.Title, line)
					}
				}
			}
		}
		if !shown {
			t.Errorf("no example of %d has the code", c.Number)
		}
	}
}

// wire makes what goes over the network of a message.
func wire(message string) string {
	head, body, found := strings.Cut(message, "\n\n")
	text := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n"
	if strings.Contains(head, "\nTransfer-Encoding: chunked") {
		body = strings.ReplaceAll(body, "\n", "\r\n") + "\r\n"
	}
	if found {
		text += body
	}
	return text
}

func readRequest(t *testing.T, c *Code, e Example) *http.Request {
	t.Helper()
	if len(e.Messages) < 2 {
		t.Fatalf("%d, %s: no request and response", c.Number, e.Title)
	}
	b := bufio.NewReader(strings.NewReader(wire(e.Messages[0])))
	r, err := http.ReadRequest(b)
	if err != nil {
		t.Fatalf("%d, %s: the request: %v", c.Number, e.Title, err)
	}
	if r.Host == "" {
		t.Errorf("%d, %s: no Host", c.Number, e.Title)
	}
	// Large uploads are shown without their content.
	if r.ContentLength < 1000 && r.Header.Get("Expect") == "" {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("%d, %s: the content of the request: %v", c.Number, e.Title, err)
		}
		if n := b.Buffered(); n > 0 {
			t.Errorf("%d, %s: %d bytes behind the request", c.Number, e.Title, n)
		}
	}
	return r
}

func readResponse(t *testing.T, c *Code, r *http.Request, message string) (status int, name, body string) {
	t.Helper()
	b := bufio.NewReader(strings.NewReader(wire(message)))
	w, err := http.ReadResponse(b, r)
	if err != nil {
		t.Fatalf("%d: a response: %v\n%s", c.Number, err, message)
	}
	defer w.Body.Close()
	content, err := io.ReadAll(w.Body)
	if err != nil {
		t.Errorf("%d: the content of %s: %v", c.Number, w.Status, err)
	}
	if n := b.Buffered(); n > 0 {
		t.Errorf("%d: %d bytes behind %s", c.Number, n, w.Status)
	}
	if k := Lookup(w.StatusCode); k != nil && k.Content() && w.ContentLength < 0 {
		t.Errorf("%d: %s has no length", c.Number, w.Status)
	}
	_, name, _ = strings.Cut(w.Status, " ")
	return w.StatusCode, name, string(content)
}

// Texts are alike where too many of their shingles, runs of so many words, are the same.
const (
	shingle = 4
	alike   = 0.34 // of the shingles of the shorter text
	short   = 6    // texts up to so many words may only not be equal within a code
)

// TestNoTwoAlike: nothing was written once and pasted.
func TestNoTwoAlike(t *testing.T) {
	type known struct {
		part
		shingles map[string]bool
	}
	var all []known
	for _, c := range All() {
		for _, p := range c.parts() {
			if w := words(Plain(p.text)); len(w) > short {
				k := known{p, map[string]bool{}}
				for i := range len(w) - shingle + 1 {
					k.shingles[strings.Join(w[i:i+shingle], " ")] = true
				}
				all = append(all, k)
			}
		}
	}
	if len(all) < 800 {
		t.Errorf("only %d texts were compared", len(all))
	}
	for i, a := range all {
		for _, b := range all[:i] {
			same := 0
			for s := range a.shingles {
				if b.shingles[s] {
					same++
				}
			}
			if least := min(len(a.shingles), len(b.shingles)); float64(same) > alike*float64(least) {
				t.Errorf("alike, %d of %d shingles:\n  %s: %s\n  %s: %s", same, least, a.place, a.text, b.place, b.text)
			}
		}
	}
}

// TestShortTexts: the short ones, which shingles say nothing about, are not the same again and again either.
func TestShortTexts(t *testing.T) {
	where := map[string][]string{}
	for _, c := range All() {
		for _, p := range c.parts() {
			if !strings.HasSuffix(p.place, " retry") { // a fact in a few words, which many share
				where[p.text] = append(where[p.text], p.place)
			}
		}
	}
	for text, places := range where {
		if len(places) > 3 || len(places) > 1 && len(words(text)) > short {
			t.Errorf("%q stands at %s", text, strings.Join(places, ", "))
		}
	}
}
