package statuscode

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A file of codes/ is Markdown of a strict shape:
//
//	# 421 Misdirected Request
//
//	defined: RFC 9110, section 15.5.20
//	state: registered
//	cache: explicit
//	retry: once, on another connection
//	words: coalescing, SNI
//
//	The summary, one paragraph.
//
//	## Server: when to use
//	(paragraphs, and lists with "- ")
//	...
//	## Example: the title
//	(one block fenced with ```http for each message)
//
// Sections come in the order of [sections], each exactly once, except Example (once or more) and In depth (any number). A
// line that begins with two spaces goes on with the item before it.
var sections = []string{
	"Server: when to use", "Server: how to respond", "Server: headers", "Server: body", "Server: pitfalls",
	"Client: what to do", "Client: retry", "Client: cache",
	"In depth", "Example", "Confused with", "Related", "References",
}

// draft is a Code whose neighbours are still numbers.
type draft struct {
	Code
	confused []int
	related  []int
}

// parse reads one file.
func parse(text string) (*draft, error) {
	head, rest, found := strings.Cut(text, "\n## ")
	if !found {
		return nil, errors.New("no section")
	}
	d := new(draft)
	if err := d.head(head); err != nil {
		return nil, err
	}
	last := 0
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, "\n## ") {
		title, body, _ := strings.Cut(part, "\n")
		kind, topic, _ := strings.Cut(title, ": ")
		if kind != "Example" && kind != "In depth" {
			kind, topic = title, ""
		}
		place := slices.Index(sections, kind)
		switch {
		case place < 0:
			return nil, fmt.Errorf("%q is no section", title)
		case place < last:
			return nil, fmt.Errorf("%q comes too late", title)
		case topic == "" && seen[kind]:
			return nil, fmt.Errorf("%q comes twice", title)
		}
		last, seen[kind] = place, true
		if err := d.section(kind, topic, strings.TrimSpace(body)); err != nil {
			return nil, fmt.Errorf("%s: %w", title, err)
		}
	}
	for _, s := range sections {
		if s != "In depth" && !seen[s] {
			return nil, fmt.Errorf("%q is missing", s)
		}
	}
	return d, nil
}

// head reads what stands before the first section.
func (d *draft) head(text string) error {
	parts := strings.Split(strings.TrimSpace(text), "\n\n")
	if len(parts) != 3 {
		return fmt.Errorf("the head has %d parts, want title, facts and summary", len(parts))
	}
	title, ok := strings.CutPrefix(parts[0], "# ")
	number, name, ok2 := strings.Cut(title, " ")
	n, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil {
		return fmt.Errorf("the title %q is no code with a name", parts[0])
	}
	d.Number, d.Name, d.Summary = n, name, unfold(parts[2])
	return d.facts(parts[1])
}

func (d *draft) facts(text string) (err error) {
	keys := []string{"defined", "state", "cache", "retry", "words"}
	lines := strings.Split(text, "\n")
	if len(lines) != len(keys) {
		return fmt.Errorf("%d facts, want %s", len(lines), strings.Join(keys, ", "))
	}
	for i, key := range keys {
		value, ok := strings.CutPrefix(lines[i], key+": ")
		if !ok {
			return fmt.Errorf("%q does not begin with %q", lines[i], key+": ")
		}
		switch key {
		case "defined":
			d.Defined, err = source(value)
		case "state":
			d.State = State(value)
			if !slices.Contains([]State{Registered, Temporary, Obsoleted, Unused}, d.State) {
				err = fmt.Errorf("%q is no state", value)
			}
		case "cache":
			d.Caching = Caching(value)
			if !slices.Contains([]Caching{Heuristic, Explicit, Never, Interim}, d.Caching) {
				err = fmt.Errorf("%q is no caching", value)
			}
		case "retry":
			d.Client.Retry = value
		case "words":
			d.Words = strings.Split(value, ", ")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) section(kind, topic, body string) (err error) {
	if body == "" {
		return errors.New("it is empty")
	}
	switch kind {
	case "Server: when to use":
		d.Server.When, err = text(body)
	case "Server: how to respond":
		d.Server.Respond, err = text(body)
	case "Server: headers":
		d.Server.Headers, err = headers(body)
	case "Server: body":
		d.Server.Body, err = text(body)
	case "Server: pitfalls":
		d.Server.Pitfalls, err = items(body)
	case "Client: what to do":
		d.Client.Action, err = text(body)
	case "Client: retry":
		d.Client.Retries, err = text(body)
	case "Client: cache":
		d.Client.Caches, err = text(body)
	case "In depth":
		var t Text
		t, err = text(body)
		d.Depth = append(d.Depth, Section{topic, t})
	case "Example":
		var e Example
		e, err = example(topic, body)
		d.Examples = append(d.Examples, e)
	case "Confused with":
		err = d.neighbours(body)
	case "Related":
		for word := range strings.SplitSeq(body, ", ") {
			n, bad := strconv.Atoi(word)
			if bad != nil {
				return fmt.Errorf("%q is no code", word)
			}
			d.related = append(d.related, n)
		}
	case "References":
		err = d.sources(body)
	}
	return err
}

func (d *draft) neighbours(body string) error {
	list, err := items(body)
	if err != nil {
		return err
	}
	for _, item := range list {
		number, difference, ok := strings.Cut(item, ": ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return fmt.Errorf("%q does not begin with a code", item)
		}
		d.confused = append(d.confused, n)
		d.Confused = append(d.Confused, Neighbour{Difference: capital(difference)})
	}
	return nil
}

func (d *draft) sources(body string) error {
	list, err := items(body)
	if err != nil {
		return err
	}
	for _, item := range list {
		s, err := source(item)
		if err != nil {
			return err
		}
		d.Sources = append(d.Sources, s)
	}
	return nil
}

// capital begins a sentence: the files go on after a colon.
func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// unfold makes one line of a paragraph.
func unfold(s string) string { return strings.Join(strings.Fields(s), " ") }

// text reads paragraphs and lists.
func text(body string) (Text, error) {
	var t Text
	for part := range strings.SplitSeq(body, "\n\n") {
		if !strings.HasPrefix(part, "- ") {
			if strings.Contains(part, "\n- ") {
				return nil, fmt.Errorf("a list begins inside of a paragraph: %q", part)
			}
			t = append(t, Block{Text: unfold(part)})
			continue
		}
		for item := range strings.SplitSeq("\n"+part, "\n- ") {
			if item != "" {
				t = append(t, Block{Item: true, Text: unfold(item)})
			}
		}
	}
	return t, nil
}

// items reads a list and nothing else.
func items(body string) ([]string, error) {
	t, err := text(body)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, b := range t {
		if !b.Item {
			return nil, fmt.Errorf("%q is no item of a list", b.Text)
		}
		list = append(list, b.Text)
	}
	return list, nil
}

func headers(body string) ([]Header, error) {
	list, err := items(body)
	if err != nil {
		return nil, err
	}
	var fields []Header
	for _, item := range list {
		name, note, ok := strings.Cut(item, "`: ")
		name, ok2 := strings.CutPrefix(name, "`")
		if !ok || !ok2 {
			return nil, fmt.Errorf("%q does not begin with the `name` of a field", item)
		}
		fields = append(fields, Header{name, capital(note)})
	}
	return fields, nil
}

func example(title, body string) (Example, error) {
	e := Example{Title: capital(title)}
	for body != "" {
		rest, ok := strings.CutPrefix(body, "```http\n")
		message, rest, ok2 := strings.Cut(rest, "\n```")
		if !ok || !ok2 {
			return e, errors.New("want messages fenced with ```http")
		}
		e.Messages = append(e.Messages, message)
		body = strings.TrimSpace(rest)
	}
	return e, nil
}

var rfc = regexp.MustCompile(`^RFC ([0-9]+)(?:, (section|appendix) ([0-9A-Z]+(?:\.[0-9]+)*))?$`)

// source reads "RFC 9110, section 7.4: note", or "name <URL>: note". The note may be missing.
func source(s string) (Source, error) {
	name, note, _ := strings.Cut(s, ": ")
	if m := rfc.FindStringSubmatch(name); m != nil {
		url := "https://www.rfc-editor.org/rfc/rfc" + m[1] + ".html"
		if m[2] != "" {
			url += "#" + m[2] + "-" + m[3]
		}
		return Source{name, url, note}, nil
	}
	name, rest, ok := strings.Cut(s, " <")
	url, note, ok2 := strings.Cut(rest, ">")
	if !ok || !ok2 || !strings.HasPrefix(url, "https://") {
		return Source{}, fmt.Errorf("%q is neither an RFC nor a name with an address", s)
	}
	return Source{name, url, strings.TrimPrefix(note, ": ")}, nil
}
