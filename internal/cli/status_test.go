package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/usher-http/usher/statuscode"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestSheetWidth: all that is shown fits into 80 columns, with colours and without. Addresses may stick out.
func TestSheetWidth(t *testing.T) {
	for _, p := range []palette{{}, {colours: true}} {
		texts := []string{codeList{p, sheetWidth}.byClass(), codeList{p, sheetWidth}.hits(statuscode.All())}
		for _, c := range statuscode.All() {
			texts = append(texts, newSheet(p, sheetWidth).code(c))
		}
		for _, text := range texts {
			if strings.Contains(text, "\x1b") != p.colours {
				t.Errorf("colours %v: %.200q", p.colours, text)
			}
			for line := range strings.Lines(text) {
				line = escapes.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
				if utf8.RuneCountInString(line) > sheetWidth && !strings.Contains(line, "https://") {
					t.Errorf("wider than %d: %q", sheetWidth, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("spaces at the end: %q", line)
				}
			}
		}
	}
}

// TestListNarrow: the lists fit into 40 columns, and say the same there.
func TestListNarrow(t *testing.T) {
	const narrow = 40
	for _, p := range []palette{{}, {colours: true}} {
		for _, list := range []func(codeList) string{codeList.byClass, func(l codeList) string { return l.hits(statuscode.All()) }} {
			text := escapes.ReplaceAllString(list(codeList{p, narrow}), "")
			if wide := escapes.ReplaceAllString(list(codeList{p, sheetWidth}), ""); !slices.Equal(strings.Fields(text), strings.Fields(wide)) {
				t.Error("the list says something else on a narrow terminal")
			}
			for line := range strings.Lines(text) {
				if utf8.RuneCountInString(line) > narrow+len("\n") {
					t.Errorf("wider than %d: %q", narrow, line)
				}
			}
		}
	}
}

// TestSheetNarrow: on a terminal of 50 columns no line is cut in the middle of a word. Addresses, messages and single long words may stick out.
func TestSheetNarrow(t *testing.T) {
	const narrow = 50
	for _, p := range []palette{{}, {colours: true}} {
		texts := []string{codeList{p, narrow}.byClass(), codeList{p, narrow}.hits(statuscode.All())}
		for _, c := range statuscode.All() {
			text := newSheet(p, narrow).code(c)
			if flat, wide := strings.Fields(text), strings.Fields(newSheet(p, sheetWidth).code(c)); !slices.Equal(flat, wide) {
				t.Errorf("%d says something else on a narrow terminal", c.Number)
			}
			before, after, _ := strings.Cut(text, p.bold("EXAMPLES"))
			_, after, _ = strings.Cut(after, p.bold("OFTEN CONFUSED WITH"))
			texts = append(texts, before, after)
		}
		for _, text := range texts {
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(escapes.ReplaceAllString(line, ""), "\n")
				if utf8.RuneCountInString(line) > narrow && strings.Contains(strings.TrimLeft(line, " -"), " ") && !strings.Contains(line, "https://") {
					t.Errorf("wider than %d: %q", narrow, line)
				}
			}
		}
	}
	for terminal, want := range map[int]int{0: 80, -1: 80, 1: 30, 30: 30, 40: 40, 80: 80, 200: 80} {
		if got := sheetWidthFor(terminal); got != want {
			t.Errorf("%d columns on a terminal of %d, want %d", got, terminal, want)
		}
	}
}

// TestSheetSays: nothing that the guide has is left out.
func TestSheetSays(t *testing.T) {
	flat := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "\n", " ")), " ") }
	for _, c := range statuscode.All() {
		text := flat(newSheet(palette{}, sheetWidth).code(c))
		o := c.Object()
		parts := []string{o.Summary, o.Server.When, o.Server.Respond, o.Server.Body, o.Client.Action, o.Client.RetryNotes, o.Client.Cache,
			o.Client.Retry, o.Defined.Name, c.Name}
		parts = append(parts, o.Server.Pitfalls...)
		for _, h := range o.Server.Headers {
			parts = append(parts, h.Name, h.Note)
		}
		for _, d := range o.Depth {
			parts = append(parts, d.Title, d.Text)
		}
		for _, n := range o.Confused {
			parts = append(parts, n.Name, n.Difference)
		}
		for _, e := range o.Examples {
			parts = append(parts, e.Title)
			parts = append(parts, e.Messages...)
		}
		for _, r := range o.References {
			parts = append(parts, r.Name, r.URL)
		}
		for _, part := range parts {
			if !strings.Contains(text, flat(part)) {
				t.Errorf("%d: %q is missing", c.Number, part)
			}
		}
	}
}

func TestWrapped(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "> \n",
		"a":                                 "> a\n",
		strings.Repeat("x", 90):             "> " + strings.Repeat("x", 90) + "\n",
		strings.Repeat("xxxx ", 20) + "end": "> " + strings.TrimSuffix(strings.Repeat("xxxx ", 15), " ") + "\n. " + strings.TrimSuffix(strings.Repeat("xxxx ", 5), " ") + " end\n",
		"see (`a b`), [404]. **Go**":        "> see (`a b`), 404. Go\n",
	} {
		s := newSheet(palette{}, sheetWidth)
		if s.wrapped("> ", ". ", text); s.String() != want {
			t.Errorf("%q: %q, want %q", text, s.String(), want)
		}
	}
	s := newSheet(palette{colours: true}, sheetWidth)
	if s.wrapped("", "", "see (`a b`)."); s.String() != "see (\x1b[36ma\x1b[0m \x1b[36mb\x1b[0m).\n" {
		t.Errorf("%q", s.String())
	}
}

// TestPager: what goes to a file is never paged; what goes through a pager is all there; a pager that is missing is no failure.
func TestPager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	for _, test := range []struct {
		pager   string
		through bool
		want    string
	}{{"cat", true, "text\n"}, {"sed s/text/paged/", true, "paged\n"}, {"no-such-program", false, ""}, {" ", false, ""}} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		s := &session{env: append(os.Environ(), "PAGER="+test.pager), stdout: f, stderr: f}
		if got := s.through("text\n"); got != test.through {
			t.Errorf("%q: %v", test.pager, got)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != test.want {
			t.Errorf("%q: %q, %v", test.pager, data, err)
		}
		if err := s.page("text\n"); err != nil {
			t.Error(err)
		}
		if data, _ := os.ReadFile(path); string(data) != test.want+"text\n" {
			t.Errorf("%q: a file got %q", test.pager, data)
		}
		f.Close()
	}
}

// TestPagerChosen: the last PAGER counts, an empty one too, and without any it is less.
func TestPagerChosen(t *testing.T) {
	for _, test := range []struct {
		env  []string
		want string
	}{
		{nil, "less"}, {[]string{"PAGERS=x", "HOME=/"}, "less"}, {[]string{"PAGER=more"}, "more"}, {[]string{"PAGER="}, ""},
		{[]string{"PAGER=more", "PAGER=cat -n"}, "cat -n"},
	} {
		if got := (&session{env: test.env}).pager(); got != test.want {
			t.Errorf("%q: %q, want %q", test.env, got, test.want)
		}
	}
}

// TestWatchMisdirected: what the page about 421 shows is a real misdirected request and its retry.
func TestWatchMisdirected(t *testing.T) {
	steps, err := watchMisdirected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 3 {
		t.Fatalf("%d steps", len(steps))
	}
	for i, want := range []struct {
		connection, status int
		reason             string
	}{{1, 200, "ok"}, {1, 421, "certificate_mismatch"}, {2, 200, "ok"}} {
		s := steps[i]
		if s.Connection != want.connection || s.Status != want.status || s.Reason != want.reason || s.OpenedFor == "" || s.Note == "" ||
			s.Protocol != "HTTP/2" || s.Method != "GET" || !strings.HasPrefix(s.Path, "/") {
			t.Errorf("step %d: %+v", i+1, s)
		}
	}
	if steps[1].Authority != steps[2].Authority || steps[1].Path != steps[2].Path || steps[1].OpenedFor == steps[2].OpenedFor {
		t.Errorf("no retry on a connection of its own: %+v", steps)
	}
}

// TestStatusHelpsWithJSON: the help names every field that --json writes.
func TestStatusHelpsWithJSON(t *testing.T) {
	help := (&session{}).status().Long
	_, help, _ = strings.Cut(help, "With --json:")
	known := strings.FieldsFunc(help, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	var fields func(any)
	fields = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				if !slices.Contains(known, name) {
					t.Errorf("no word about %q", name)
				}
				fields(value)
			}
		case []any:
			for _, value := range v {
				fields(value)
			}
		}
	}
	data, err := json.Marshal(statuscode.Lookup(421).Object())
	if err != nil {
		t.Fatal(err)
	}
	var o any
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	fields(o)
}
