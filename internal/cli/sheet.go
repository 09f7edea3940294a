package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/usher-http/usher/statuscode"
)

// sheetWidth is how wide text gets, in characters, and leastWidth how narrow on a terminal that is narrower.
const (
	sheetWidth = 80
	leastWidth = 30
)

// A sheet is text about a status code, for a terminal.
type sheet struct {
	strings.Builder
	paint palette
	width int
}

func newSheet(p palette, width int) *sheet { return &sheet{paint: p, width: width} }

// sheetWidth is that of the terminal, within bounds: lines that are much longer are hard to read, and what is no terminal gets what
// everybody can show.
func (s *session) sheetWidth() int {
	if f, ok := fileOf(s.stdout); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return sheetWidthFor(width)
		}
	}
	return sheetWidth
}

// sheetWidthFor takes 0 for a terminal that does not know.
func sheetWidthFor(terminal int) int {
	if terminal <= 0 {
		return sheetWidth
	}
	return max(leastWidth, min(terminal, sheetWidth))
}

// code writes all that the guide has about a code.
func (s *sheet) code(c *statuscode.Code) string {
	fmt.Fprintf(s, "%s %s\n", paintCode(s.paint, c), s.paint.bold(c.Name))
	s.wrapped("", "", c.Summary)
	s.WriteString("\n")
	s.facts(c)
	s.heading("Server perspective")
	s.part("When to use it", c.Server.When)
	s.part("How to respond", c.Server.Respond)
	s.title("Headers to consider")
	for _, h := range c.Server.Headers {
		s.wrapped("    - ", "      ", "`"+h.Name+"`: "+h.Note)
	}
	s.part("Response body", c.Server.Body)
	s.title("Pitfalls")
	for _, p := range c.Server.Pitfalls {
		s.wrapped("    - ", "      ", p)
	}
	s.heading("Client perspective")
	s.part("What to do", c.Client.Action)
	s.part("May it be retried?", c.Client.Retries)
	s.part("May it be cached?", c.Client.Caches)
	if len(c.Depth) > 0 {
		s.heading("In depth")
	}
	for _, d := range c.Depth {
		s.part(d.Title, d.Text)
	}
	s.examples(c)
	s.neighbours(c)
	return s.String()
}

func (s *sheet) facts(c *statuscode.Code) {
	content := "allowed"
	if !c.Content() {
		content = "none"
	}
	for _, f := range [][2]string{
		{"Class", c.Class().Digits() + " " + c.Class().String()},
		{"Defined in", c.Defined.Name + ", " + string(c.State)},
		{"Retry", c.Client.Retry},
		{"Cached", c.Caching.String()},
		{"Content", content},
	} {
		s.labelled(fmt.Sprintf("%-10s", f[0]), f[1])
	}
}

func (s *sheet) examples(c *statuscode.Code) {
	s.heading("Examples")
	for _, e := range c.Examples {
		s.title(e.Title)
		for i, m := range e.Messages {
			if i > 0 {
				s.WriteString("\n")
			}
			for line := range strings.Lines(m + "\n") {
				s.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
			}
		}
	}
}

func (s *sheet) neighbours(c *statuscode.Code) {
	s.heading("Often confused with")
	s.WriteString("\n")
	for _, n := range c.Confused {
		fmt.Fprintf(s, "  %s %s\n", paintCode(s.paint, n.Code), s.paint.bold(n.Code.Name))
		s.wrapped("      ", "      ", n.Difference)
	}
	s.heading("Related")
	s.WriteString("\n")
	for _, r := range c.Related {
		fmt.Fprintf(s, "  %s %s\n", paintCode(s.paint, r), r.Name)
	}
	s.heading("References")
	s.WriteString("\n")
	fmt.Fprintf(s, "  %s\n", c.Defined.URL)
	for _, x := range c.Sources {
		if x.URL != c.Defined.URL {
			s.wrapped("  ", "  ", x.Name+": "+x.Note)
			fmt.Fprintf(s, "    %s\n", s.paint.faint(x.URL))
		}
	}
}

// labelled writes a faint label and a text beside it.
func (s *sheet) labelled(label, text string) {
	s.wrapped("  "+s.paint.faint(label)+"  ", strings.Repeat(" ", len(label)+len("    ")), text)
}

func (s *sheet) heading(t string) { fmt.Fprintf(s, "\n%s\n", s.paint.bold(strings.ToUpper(t))) }

func (s *sheet) title(t string) {
	s.WriteString("\n")
	s.wrapped("  ", "  ", "**"+t+"**")
}

func (s *sheet) part(title string, t statuscode.Text) {
	s.title(title)
	for i, b := range t {
		switch {
		case b.Item:
			s.wrapped("    - ", "      ", b.Text)
		case i > 0:
			s.WriteString("\n")
			fallthrough
		default:
			s.wrapped("    ", "    ", b.Text)
		}
	}
}

// wrapped writes a line of text in lines of at most the sheet's width, the first of which begins with first, and all others with rest, which
// are equally wide to the eye. Words are not broken, so that a longer one sticks out.
func (s *sheet) wrapped(first, rest, text string) {
	line, width := first, utf8.RuneCountInString(rest)
	empty := true
	for _, w := range s.words(text) {
		n := utf8.RuneCountInString(w.plain)
		if !empty && width+1+n > s.width {
			s.WriteString(line + "\n")
			line, width, empty = rest, utf8.RuneCountInString(rest), true
		}
		if !empty {
			line, width = line+" ", width+1
		}
		line, width, empty = line+w.painted, width+n, false
	}
	s.WriteString(line + "\n")
}

// A word is what stands between spaces; code is painted, and keeps its backquotes where there are no colours.
type word struct{ plain, painted string }

func (s *sheet) words(text string) []word {
	var list []word
	glue := false // to the last word
	add := func(plain, painted string) {
		if n := len(list); glue && n > 0 {
			list[n-1].plain += plain
			list[n-1].painted += painted
			return
		}
		list = append(list, word{plain, painted})
	}
	for _, span := range statuscode.Spans(text) {
		for i, w := range strings.Split(span.Text, " ") {
			if i > 0 {
				glue = false
			}
			if w != "" {
				add(s.word(span.Kind, w, i == 0, strings.HasSuffix(span.Text, w)))
				glue = true
			}
		}
	}
	return list
}

// word returns one word of a span as it is and painted. first and last tell whether it begins and ends the span.
func (s *sheet) word(kind statuscode.SpanKind, w string, first, last bool) (plain, painted string) {
	switch {
	case kind == statuscode.CodeSpan && s.paint.colours:
		return w, s.paint.sgr("36", w)
	case kind == statuscode.CodeSpan:
		if first {
			w = "`" + w
		}
		if last {
			w += "`"
		}
		return w, w
	case kind == statuscode.Strong:
		return w, s.paint.bold(w)
	}
	return w, w
}
