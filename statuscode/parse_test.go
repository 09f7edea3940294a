package statuscode

import (
	"regexp"
	"strings"
	"testing"
)

// TestParseErrors breaks a good file in one place each.
func TestParseErrors(t *testing.T) {
	data, err := files.ReadFile("codes/404.md")
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	if _, err := parse(good); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, from, to, want string }{
		{"no section", good[strings.Index(good, "\n## "):], "", "no section"},
		{"no number", "# 404 Not Found", "# Not Found", `the title "# Not Found" is no code with a name`},
		{"no facts", "\n\nThe server is the right", "\nThe server is the right", "the head has 2 parts"},
		{"a fact is missing", "retry: no\n", "", "4 facts, want defined, state, cache, retry, words"},
		{"another fact", "retry: no\n", "again: no\n", `"again: no" does not begin with "retry: "`},
		{"no document", "defined: RFC 9110, section 15.5.5", "defined: RFC, section 15.5.5", "is neither an RFC nor a name with an address"},
		{"no state", "state: registered", "state: fine", `"fine" is no state`},
		{"no caching", "cache: heuristic", "cache: yes", `"yes" is no caching`},
		{"an unknown section", "## Server: body", "## Server: bodies", `"Server: bodies" is no section`},
		{"in another order", "## Client: retry", "## Server: body", `"Server: body" comes too late`},
		{"twice", "## Client: retry", "## Client: what to do", `"Client: what to do" comes twice`},
		{"a section is missing", "## Related\n\n400, 403, 410, 421\n", "", `"Related" is missing`},
		{"empty", "## Related\n\n400, 403, 410, 421\n", "## Related\n\n", "Related: it is empty"},
		{"a list without an empty line", "## Server: body\n\n", "## Server: body\n\nThings:\n- one\n\n", "a list begins inside of a paragraph"},
		{"no list", "## Confused with\n\n", "## Confused with\n\nWords.\n\n", "is no item of a list"},
		{"no field", "- `Cache-Control`: a", "- Cache-Control: a", "does not begin with the `name` of a field"},
		{"no fence", "```http\nGET", "```\nGET", "want messages fenced with ```http"},
		{"an open fence", "status\": 404}\n```", "status\": 404}\n", "want messages fenced with ```http"},
		{"no neighbour", "- 410: was", "- gone: was", "does not begin with a code"},
		{"not related", "400, 403, 410, 421", "400, x", `"x" is no code`},
		{"no source", "- RFC 9110, section 15.1: h", "- Wikipedia: h", `"Wikipedia: heuristically cacheable" is neither`},
		{"a plain http source", "- RFC 9110, section 15.1: h", "- x <http://example.test>: h", "is neither an RFC"},
	} {
		if strings.Count(good, test.from) != 1 {
			t.Errorf("%s: 404.md has %q %d times", test.name, test.from, strings.Count(good, test.from))
			continue
		}
		_, err := parse(strings.Replace(good, test.from, test.to, 1))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// TestJoin: numbers that nobody has are mistakes.
func TestJoin(t *testing.T) {
	a := &draft{Code: Code{Number: 200}, related: []int{201}}
	if _, err := join([]*draft{a}); err == nil || err.Error() != "200 is related to 201, which is not there" {
		t.Error(err)
	}
	a = &draft{Code: Code{Number: 200, Confused: make([]Neighbour, 1)}, confused: []int{202}}
	if _, err := join([]*draft{a}); err == nil || err.Error() != "200 is confused with 202, which is not there" {
		t.Error(err)
	}
}

func TestSource(t *testing.T) {
	for s, want := range map[string]Source{
		"RFC 9110":                          {"RFC 9110", "https://www.rfc-editor.org/rfc/rfc9110.html", ""},
		"RFC 9110, section 7.4: rejecting":  {"RFC 9110, section 7.4", "https://www.rfc-editor.org/rfc/rfc9110.html#section-7.4", "rejecting"},
		"RFC 4918, appendix F: what: it is": {"RFC 4918, appendix F", "https://www.rfc-editor.org/rfc/rfc4918.html#appendix-F", "what: it is"},
		"A draft <https://example.test/d>":  {"A draft", "https://example.test/d", ""},
		"A <https://example.test/d>: note":  {"A", "https://example.test/d", "note"},
	} {
		if got, err := source(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

func TestSpans(t *testing.T) {
	for s, want := range map[string][]Span{
		"":                   nil,
		"plain":              {{Kind: Words, Text: "plain"}},
		"a `b` c":            {{Kind: Words, Text: "a "}, {Kind: CodeSpan, Text: "b"}, {Kind: Words, Text: " c"}},
		"**n** is [404].":    {{Kind: Strong, Text: "n"}, {Kind: Words, Text: " is "}, {Kind: CodeLink, Text: "404", Code: 404}, {Kind: Words, Text: "."}},
		"`Accept: */*` here": {{Kind: CodeSpan, Text: "Accept: */*"}, {Kind: Words, Text: " here"}},
		"open ` [ ** [4x4]":  {{Kind: Words, Text: "open `"}, {Kind: Words, Text: " ["}, {Kind: Words, Text: " *"}, {Kind: Words, Text: "*"}, {Kind: Words, Text: " ["}, {Kind: Words, Text: "4x4]"}},
		"[999]":              {{Kind: CodeLink, Text: "999", Code: 999}},
		"[42":                {{Kind: Words, Text: "["}, {Kind: Words, Text: "42"}},
	} {
		got := Spans(s)
		if len(got) != len(want) {
			t.Errorf("%q: %+v, want %+v", s, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q: %+v, want %+v", s, got, want)
			}
		}
	}
}

func TestTextString(t *testing.T) {
	text := Text{{Text: "One [404] `x`."}, {Item: true, Text: "**two**"}, {Item: true, Text: "three"}, {Text: "four"}}
	if got, want := text.String(), "One 404 `x`.\n\n- two\n- three\n\nfour"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

var marked3 = regexp.MustCompile(`\[[0-9]{3}\]`)

// TestObject: what programs get is all there, and free of marks.
func TestObject(t *testing.T) {
	for _, c := range All() {
		o := c.Object()
		if o.Code != c.Number || o.Name != c.Name || o.Class != c.Class().String() || o.Summary == "" || o.Defined.URL != c.Defined.URL ||
			len(o.Server.Headers) != len(c.Server.Headers) || len(o.Server.Pitfalls) != len(c.Server.Pitfalls) || o.Client.Retry == "" ||
			len(o.Examples) != len(c.Examples) || len(o.Confused) != len(c.Confused) || len(o.References) != len(c.Sources) ||
			len(o.Related) != len(c.Related) || len(o.Depth) != len(c.Depth) {
			t.Errorf("%d: %+v", c.Number, o)
		}
		texts := []string{o.Summary, o.Server.When, o.Server.Respond, o.Server.Body, o.Client.Action, o.Client.RetryNotes, o.Client.Cache}
		texts = append(texts, o.Server.Pitfalls...)
		for _, h := range o.Server.Headers {
			texts = append(texts, h.Note)
		}
		for _, d := range o.Depth {
			texts = append(texts, d.Text)
		}
		for _, n := range o.Confused {
			texts = append(texts, n.Difference)
		}
		for _, s := range texts {
			if s == "" || strings.Contains(s, "**") || marked3.MatchString(s) {
				t.Errorf("%d: %q", c.Number, s)
			}
		}
		if b := c.Brief(); b.Code != o.Code || b.Name != o.Name || b.Class != o.Class || b.Summary != o.Summary || b.State != o.State || b.Cacheable != o.Cacheable {
			t.Errorf("%d: %+v", c.Number, b)
		}
	}
	if len(Lookup(421).Depth) < 5 {
		t.Error("421 is not the most thorough page")
	}
}
