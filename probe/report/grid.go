package report

import "strings"

// A grid is a table without lines. Columns are as wide as their content as long as the whole fits; then the widest ones are made
// narrower, and their cells wrap.
type grid struct {
	*printer
	indent int
	first  int // the least width of the first column
	rows   [][]string
}

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

// gap is between columns.
const gap = 2

func (g *grid) widths() []int {
	widths := make([]int, len(g.rows[0]))
	for _, row := range g.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], visible(cell))
		}
	}
	widths[0] = max(widths[0], g.first)
	least := make([]int, len(widths))
	for _, row := range g.rows {
		for i, cell := range row {
			for word := range strings.FieldsSeq(cell) {
				least[i] = max(least[i], visible(word))
			}
		}
	}
	if !g.narrow(widths, least) { // words are cut
		for i := range least {
			least[i] = 10
		}
		g.narrow(widths, least)
	}
	return widths
}

// narrow takes from the widest columns until the whole fits, and reports whether it does.
func (g *grid) narrow(widths, least []int) bool {
	for {
		total, widest := g.indent-gap, -1
		for i, w := range widths {
			total += w + gap
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if total <= g.Width || widest < 0 {
			return total <= g.Width
		}
		widths[widest]--
	}
}

func (g *grid) flush() {
	widths := g.widths()
	for _, row := range g.rows {
		cells := make([][]string, len(row))
		height := 0
		for i, cell := range row {
			cells[i] = wrapCell(cell, widths[i])
			height = max(height, len(cells[i]))
		}
		for y := range height {
			line := strings.Repeat(" ", g.indent)
			for i := range row {
				text := ""
				if y < len(cells[i]) {
					text = cells[i][y]
				}
				line += text
				if i < len(row)-1 {
					line += strings.Repeat(" ", max(0, widths[i]-visible(text))+gap)
				}
			}
			g.line("%s", strings.TrimRight(line, " "))
		}
	}
}

// wrapCell wraps one cell, and paints each of its lines as the whole.
func wrapCell(cell string, width int) []string {
	begin, text, end := "", cell, ""
	if strings.HasPrefix(cell, "\x1b[") && strings.HasSuffix(cell, "\x1b[0m") {
		if i := strings.IndexByte(cell, 'm'); i > 0 {
			begin, text, end = cell[:i+1], strings.TrimSuffix(cell[i+1:], "\x1b[0m"), "\x1b[0m"
		}
	}
	var lines []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		for len(word) > width { // a host name longer than its column
			if line != "" {
				lines = append(lines, line)
				line = ""
			}
			lines = append(lines, word[:width])
			word = word[width:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = begin + lines[i] + end
	}
	return lines
}
