package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/usher-http/usher/internal/gateway/config"
)

// The exit codes.
const (
	exitFailed  = 1 // it did not work, or there are hazards, refusals, unexpected answers: each command's help says which
	exitInvalid = 2 // the command line or the configuration is wrong; nothing was done
)

// An ExitError is an error with the code that the program ends with.
type ExitError struct {
	Code int
	Err  error // nil: all has been said on stdout
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode returns the code for what [Run] returned: 0 for nil.
func ExitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	case isConfig(err):
		return exitInvalid
	}
	return exitFailed
}

// isConfig reports whether the configuration is at fault.
func isConfig(err error) bool {
	var all config.Errors
	var one *config.Error
	return errors.As(err, &all) || errors.As(err, &one)
}

// A hinted error says what may help.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// usageError is a mistake in the command line.
func usageError(hint, format string, args ...any) error {
	return &ExitError{exitInvalid, &hinted{fmt.Errorf(format, args...), hint}}
}

// report writes what went wrong. Mistakes in a configuration name their place themselves.
func (s *session) report(err error) {
	var exit *ExitError
	if err == nil || errors.As(err, &exit) && exit.Err == nil {
		return
	}
	if isConfig(err) {
		fmt.Fprintln(s.stderr, err)
		return
	}
	paint := s.paint(s.stderr)
	fmt.Fprintf(s.stderr, "%s %s\n", paint.bad("usher:"), err)
	var h *hinted
	if errors.As(err, &h) && h.hint != "" {
		writeHint(s.stderr, h.hint)
	}
}

func writeHint(w io.Writer, hint string) {
	fmt.Fprintf(w, "    hint: %s\n", strings.ReplaceAll(hint, "\n", "\n          "))
}

func unknownCommand(c *cobra.Command, word string) error {
	hint := fmt.Sprintf("%s --help lists the commands", c.CommandPath())
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return usageError(hint, "unknown command %q", strings.TrimPrefix(c.CommandPath()+" "+word, "usher "))
}

// flagError makes pflag's errors ours.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		typed := unknown.GetSpecifiedName()
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		hint := fmt.Sprintf("%s --help lists the flags", c.CommandPath())
		if near := nearestFlag(c, typed); near != "" {
			hint = fmt.Sprintf("did you mean %q?", "--"+near)
		}
		return usageError(hint, "unknown flag %q for %q", dashes+typed, c.CommandPath())
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		var h *hinted
		hint := ""
		if errors.As(err, &h) {
			hint = h.hint
		} else if invalid.GetFlag().Value.Type() == "duration" {
			hint = "a number with its unit: 5s, 2m"
		}
		return usageError(hint, "--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	}
	hint := fmt.Sprintf("%s --help shows how it is used", c.CommandPath())
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		return usageError(hint, "flag %q needs a value", "--"+missing.GetFlag().Name)
	}
	return usageError(hint, "%w", err)
}

// nearestFlag returns the flag that was probably meant: one with at most two letters wrong.
func nearestFlag(c *cobra.Command, typed string) (best string) {
	least := 3
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(typed, f.Name); d < least && d < len(f.Name) {
			best, least = f.Name, d
		}
	})
	return best
}

// distance is the number of letters to insert, remove or replace between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// noArgs refuses arguments to a command that takes none.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("%s --help shows how it is used", c.CommandPath())
	if c.Flags().Lookup("config") != nil {
		hint = fmt.Sprintf("a configuration file is named with -c: %s -c %s", c.CommandPath(), args[0])
	}
	return usageError(hint, "%q takes no argument %q", c.CommandPath(), args[0])
}
