package cli

import (
	"fmt"
	"io"

	"github.com/usher-http/usher/internal/gateway/config"
)

// Without --all this many hazards are named.
const mostHazards = 20

// printHazards writes hazards, the first ones if not all are wanted; more says what names the others. word stands before those that
// are no notes.
func printHazards(w io.Writer, p palette, word string, list []config.Hazard, all bool, more string) {
	for i, h := range list {
		if !all && i >= mostHazards {
			fmt.Fprintf(w, "and %s (%s)\n", counted(len(list)-i, "more hazard", "more hazards"), more)
			return
		}
		marked := p.warn(word)
		if h.Kind.Severity() == config.Note {
			marked = p.faint("note:")
		}
		printFinding(w, p, marked, finding{h.File, h.Line, h.Column, h.Path, h.Message, h.Hint})
	}
}

// A finding is a mistake or a hazard in a configuration file.
type finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0: the file as a whole
	Column  int    `json:"column"` // from 1, in characters
	Path    string `json:"path"`   // the key
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

type hazardObject struct {
	Kind     string          `json:"kind"`
	Severity config.Severity `json:"severity"`
	finding
}

// printFinding writes file:line:column, the message, and the hint on a line of its own.
func printFinding(w io.Writer, p palette, word string, f finding) {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	fmt.Fprintf(w, "%s: %s %s\n", p.bold(place), word, f.Message)
	if f.Hint != "" {
		writeHint(w, f.Hint)
	}
}
