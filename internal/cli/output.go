package cli

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// A palette paints words; without colours it leaves them alone.
type palette struct{ colours bool }

func (p palette) good(s string) string  { return p.sgr("32", s) }
func (p palette) bad(s string) string   { return p.sgr("1;31", s) }
func (p palette) warn(s string) string  { return p.sgr("33", s) }
func (p palette) bold(s string) string  { return p.sgr("1", s) }
func (p palette) faint(s string) string { return p.sgr("2", s) }

func (p palette) sgr(code, s string) string {
	if !p.colours || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// paint returns colours for a terminal, unless NO_COLOR says otherwise (https://no-color.org).
func (s *session) paint(w io.Writer) palette {
	f, ok := fileOf(w)
	return palette{ok && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))}
}

func (s *session) getenv(name string) string {
	value := ""
	for _, e := range s.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// writeJSON writes one object for programs.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// newTable returns a table without lines, whose columns are at most as wide as said (0: as wide as they come).
func newTable(p palette, widths []int, header ...any) table.Writer {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	configs := make([]table.ColumnConfig, len(widths))
	for i, w := range widths {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: w, WidthMaxEnforcer: text.WrapSoft}
	}
	t.SetColumnConfigs(configs)
	if len(header) > 0 {
		row := make(table.Row, len(header))
		for i, h := range header {
			row[i] = p.bold(h.(string))
		}
		t.AppendHeader(row)
	}
	return t
}

// render writes a table without the spaces that fill up its last column.
func render(w io.Writer, t table.Writer) {
	for line := range strings.Lines(t.Render() + "\n") {
		io.WriteString(w, strings.TrimRight(line, " \n")+"\n")
	}
}

// some joins names, the first few of them; most 0 means all.
func some(names []string, most int) string {
	if most == 0 || len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + counted(len(names)-most, "more", "more")
}
