package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/statuscode"
)

func (s *session) status() *cobra.Command {
	c := &cobra.Command{
		Use:   "status [CODE | WORD...]",
		Short: "What an HTTP status code means, and what to do about it",
		Long: `Without an argument: list the status codes by class. With a code: what it means, what a server does before it sends it,
what a client does when it arrives, examples, and what it is confused with. With words: search names, topics and texts; a letter
or two may be wrong. One hit is shown in full.

Long output goes through $PAGER on a terminal, or less where that is not set.

Exit code: 0 something was found; 1 nothing was; 2 the command line is invalid.

With --json: for a code an object with
  code, name, class, summary
  state          registered, temporary, obsoleted or unused
  cacheable      heuristic (by default), explicit (if freshness is stated), never, or interim
  defined_in     {name, url}
  server         {when, respond, headers: [{name, note}], body, pitfalls: [text]}
  client         {action, retry: in a few words, retry_notes, cache}
  in_depth       [{title, text}]
  examples       [{title, messages: [text]}], the request, interim responses, the final response
  confused_with  [{code, name, difference}]
  references     [{name, url, note}]
  related        [code]
otherwise {codes}, a list of {code, name, class, summary, state, cacheable}. The guide's API (/api/codes/421) has the same.`,
		Example: `  usher status
  usher status 421
  usher status 4xx
  usher status misdirected
  usher status rate limit --json`,
	}
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	c.ValidArgsFunction = completeCodes
	c.RunE = func(_ *cobra.Command, args []string) error {
		asked := strings.TrimSpace(strings.Join(args, " "))
		if asked == "" && len(args) > 0 { // a variable of a script that is not set
			return usageError("usher status 421 shows one, usher status lists all", "%q: %w", asked, statuscode.ErrMalformed)
		}
		return s.runStatus(asked, *asJSON)
	}
	return c
}

// completeCodes offers the codes with their names.
func completeCodes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, c := range statuscode.All() {
		words = append(words, fmt.Sprintf("%d\t%s", c.Number, c.Name))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) runStatus(asked string, asJSON bool) error {
	if isNumber(asked) && len(asked) > 2 {
		c, err := statuscode.Find(asked)
		if err != nil {
			return noSuchCode(asked, err)
		}
		return s.showCode(c, asJSON)
	}
	list := statuscode.All()
	if asked != "" {
		list = statuscode.Search(asked)
	}
	if strings.HasPrefix(asked, "-") { // a number in all likelihood
		list = nil
	}
	switch n := statuscode.WildIn(asked); {
	case len(list) == 0 && n != 0 && asked[0] != '-':
		number := strconv.Itoa(n)
		_, err := statuscode.Find(number)
		return noSuchCode(number, err)
	case len(list) == 0:
		return nothingFound(asked)
	case asJSON:
		briefs := []statuscode.Brief{}
		for _, c := range list {
			briefs = append(briefs, c.Brief())
		}
		return writeJSON(s.stdout, codesObject{briefs})
	case asked == "":
		return s.page(codeList{s.paint(s.stdout), s.sheetWidth()}.byClass())
	case len(list) == 1:
		return s.showCode(list[0], false)
	}
	return s.page(codeList{s.paint(s.stdout), s.sheetWidth()}.hits(list))
}

// codesObject is what `usher status --json` writes for more than one code.
type codesObject struct {
	Codes []statuscode.Brief `json:"codes"`
}

func (s *session) showCode(c *statuscode.Code, asJSON bool) error {
	if asJSON {
		return writeJSON(s.stdout, c.Object())
	}
	return s.page(newSheet(s.paint(s.stdout), s.sheetWidth()).code(c))
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// noSuchCode says why a number is no code, and what is near.
func noSuchCode(asked string, err error) error {
	if !errors.Is(err, statuscode.ErrUnknown) {
		return usageError("usher status 421 shows one, usher status lists all", "%w", err)
	}
	n, _ := strconv.Atoi(asked)
	if known := statuscode.InTheWild(n); known != "" {
		return &ExitError{exitFailed, &hinted{err, known}}
	}
	return &ExitError{exitFailed, &hinted{err, fmt.Sprintf("usher status %cxx lists its class, whose meaning clients go by", asked[0])}}
}

// nothingFound is about words that are nowhere. What begins like a number was meant as one.
func nothingFound(asked string) error {
	hint := "try a topic such as cache, redirect or rate limit; usher status lists all codes"
	if r := []rune(asked); len(r) > 100 {
		asked = string(r[:100]) + "..."
	}
	if asked[0] >= '0' && asked[0] <= '9' || asked[0] == '-' {
		return usageError("usher status 421 shows one, usher status lists all", "%q: %w", asked, statuscode.ErrMalformed)
	}
	return &ExitError{exitFailed, &hinted{fmt.Errorf("nothing found for %q", asked), hint}}
}

// A codeList lists codes.
type codeList struct {
	paint palette
	width int
}

func (l codeList) byClass() string {
	b := newSheet(l.paint, l.width)
	for _, class := range statuscode.Classes {
		title := class.Digits() + " " + class.String()
		if len(title)+len("  ")+len(class.Meaning()) <= l.width {
			fmt.Fprintf(b, "%s  %s\n\n", l.paint.bold(title), l.paint.faint(class.Meaning()))
		} else {
			b.WriteString(l.paint.bold(title) + "\n")
			b.wrapped("", "", class.Meaning())
			b.WriteString("\n")
		}
		for _, c := range statuscode.Of(class) {
			fmt.Fprintf(b, "  %s  %s%s\n", paintCode(l.paint, c), c.Name, l.mark(c, len("  404  ")))
		}
		b.WriteString("\n")
	}
	b.wrapped("", "", "usher status 421 shows one, usher status WORD searches.")
	return b.String()
}

func (l codeList) hits(list []*statuscode.Code) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s  %s%s\n", paintCode(l.paint, c), l.paint.bold(c.Name), l.mark(c, len("404  ")))
		sheet := newSheet(l.paint, l.width)
		sheet.wrapped("     ", "     ", c.Summary)
		b.WriteString(sheet.String())
	}
	return b.String()
}

// paintCode gives the number the colour of its class.
func paintCode(p palette, c *statuscode.Code) string {
	number := strconv.Itoa(c.Number)
	switch c.Class() {
	case statuscode.Successful:
		return p.good(number)
	case statuscode.ClientError:
		return p.warn(number)
	case statuscode.ServerError:
		return p.bad(number)
	}
	return p.bold(number)
}

// mark says of a code whose name begins at a column that it is not registered like others; on the next line where this one is full.
func (l codeList) mark(c *statuscode.Code, column int) string {
	if c.State == statuscode.Registered || c.State == statuscode.Unused {
		return "" // that one has it in its name
	}
	state := "(" + string(c.State) + ")"
	if column+len(c.Name)+len(" ")+len(state) > l.width {
		return "\n" + strings.Repeat(" ", column) + l.paint.faint(state)
	}
	return l.paint.faint(" " + state)
}
