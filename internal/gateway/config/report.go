package config

import (
	"cmp"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// A reporter collects what is found in one file.
type reporter struct {
	file    string
	errs    Errors
	hazards []Hazard
	seen    map[Error]bool // without path: what stands behind an alias is reported once
	// broken are the nodes that could not be decoded in full. What is missing in them may only be misspelt: it is not
	// reported beside the first mistake.
	broken map[*yaml.Node]bool
}

func newReporter(file string) *reporter {
	return &reporter{file: file, seen: map[Error]bool{}, broken: map[*yaml.Node]bool{}}
}

// fail reports a mistake at c, unless what stands there is known to be broken.
func (r *reporter) fail(c *cursor, hint, format string, args ...any) {
	if !r.broken[c.place()] {
		r.add(c.place(), c.path(), hint, fmt.Sprintf(format, args...))
	}
}

// breaks reports a mistake in the form of c. Nothing else is then said about c itself.
func (r *reporter) breaks(c *cursor, at *yaml.Node, hint, format string, args ...any) {
	r.add(at, c.path(), hint, fmt.Sprintf(format, args...))
	r.broken[c.place()] = true
}

func (r *reporter) add(at *yaml.Node, path, hint, message string) {
	e := Error{File: r.file, Line: max(at.Line, 1), Column: max(at.Column, 1), Message: message, Hint: hint}
	if r.seen[e] {
		return
	}
	r.seen[e] = true
	e.Path = path
	r.errs = append(r.errs, &e)
}

func (r *reporter) warn(c *cursor, kind Kind, hint, format string, args ...any) {
	at := c.place()
	r.hazards = append(r.hazards, Hazard{kind, r.file, at.Line, at.Column, c.path(), fmt.Sprintf(format, args...), hint})
}

// failed reports whether anything that was found forbids the file.
func (r *reporter) failed() bool { return len(r.errs) > 0 }

// err returns the errors in the order of their positions, or nil.
func (r *reporter) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return r.errs
}

func (r *reporter) warnings() []Hazard {
	slices.SortStableFunc(r.hazards, func(a, b Hazard) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return r.hazards
}
