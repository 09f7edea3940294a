package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/gateway/plan"
)

func (s *session) check() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration, and what it means",
		Long: `Check a configuration file without running it, and say

  - every mistake, as file:line:column with a hint;
  - every hazard: what is legal but surprising; a hazard that makes nothing less safe is a note;
  - which sites browsers would serve over one connection (they do that where two hosts lead to one listener over HTTP/2
    or HTTP/3 and one certificate covers both), and what would be answered there.

Files that the configuration names are read; nothing is written, and no certificate is issued into the state folder.

Exit code: 0 all is well; 1 there are hazards; 2 the configuration is invalid. With --fail-on warning notes alone are no
reason for 1, such as the one that a wildcard cannot be listed in ORIGIN frames; with --fail-on never nothing is.

With --json: an object with
  file, result        result is ok, hazards or invalid
  errors, hazards     lists of {file, line, column, path, message, hint}; hazards have a kind and a severity too
  shared_connections  a list of sets of pairs of sites: every site of connection_for with every other site of
                      request_for. listener; client_certificate (with or without, where it matters, else empty);
                      example, an authority that is asked for; answer {status, reason, waived}; fresh_connection, what
                      the next try meets: null where the request is served, else {status, reason, alert}
  origin_frames       a list of {listener, connection_for, origins, silence, capped}: how many origins the ORIGIN frame of
                      connections for these sites lists, or why none is sent`,
		Example: `  usher check
  usher check -c /etc/usher/usher.yaml --json
  usher check --fail-on warning                   # before a reload, or in CI`,
		Args: noArgs,
	}
	file := configFlag(c)
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	all := c.Flags().Bool("all", false, "name every site and every hazard, however many there are")
	failOn := choiceFlag(c, "fail-on", "least `SEVERITY` for exit code 1, or never", string(config.Note), string(config.Warning), "never")
	c.RunE = func(*cobra.Command, []string) error {
		r := checkFile(*file)
		if *asJSON {
			if err := writeJSON(s.stdout, r.object()); err != nil {
				return err
			}
		} else {
			s.printCheck(r, *all)
		}
		return r.exit(failOn.value)
	}
	return c
}

// A checked is what was found in a file.
type checked struct {
	file   string
	errs   config.Errors
	loaded *config.Loaded
	shares []plan.Share
	frames []plan.Frame
}

func checkFile(file string) checked {
	r := checked{file: file}
	l, err := load(file)
	if err != nil {
		r.errs = mistakes(file, err)
		return r
	}
	p, err := plan.New(l)
	if err != nil {
		r.errs = mistakes(file, err)
		return r
	}
	r.loaded, r.shares, r.frames = l, p.Shares(), p.Frames()
	return r
}

// mistakes returns the errors of a configuration; one that names no place of its own concerns the file as a whole.
func mistakes(file string, err error) config.Errors {
	var list config.Errors
	if errors.As(err, &list) {
		return list
	}
	return config.Errors{{File: file, Message: err.Error()}}
}

// lost reports whether requests to some site end in a refusal although the browser comes back.
func (r checked) lost() bool {
	for i := range r.shares {
		if r.shares[i].Lost() {
			return true
		}
	}
	return false
}

func (r checked) result() string {
	switch {
	case len(r.errs) > 0:
		return "invalid"
	case len(r.loaded.Hazards) > 0 || r.lost():
		return "hazards"
	}
	return "ok"
}

// warned reports whether there is more than notes.
func (r checked) warned() bool {
	return r.lost() || slices.ContainsFunc(r.loaded.Hazards, func(h config.Hazard) bool { return h.Kind.Severity() != config.Note })
}

func (r checked) exit(failOn string) error {
	switch r.result() {
	case "invalid":
		return &ExitError{Code: exitInvalid}
	case "hazards":
		if failOn == string(config.Note) || failOn == string(config.Warning) && r.warned() {
			return &ExitError{Code: exitFailed}
		}
	}
	return nil
}

func (s *session) printCheck(r checked, all bool) {
	paint := s.paint(s.stdout)
	for _, e := range r.errs {
		printFinding(s.stdout, paint, paint.bad("error:"), finding{e.File, e.Line, e.Column, e.Path, e.Message, e.Hint})
	}
	if len(r.errs) > 0 {
		fmt.Fprintf(s.stdout, "\n%s: %s\n", r.file, paint.bad("invalid, "+counted(len(r.errs), "error", "errors")))
		return
	}
	printHazards(s.stdout, paint, "hazard:", r.loaded.Hazards, all, "--all shows them")
	if len(r.loaded.Hazards) > 0 {
		fmt.Fprintln(s.stdout)
	}
	s.printShares(paint, r.shares, all)
	s.printFrames(paint, r.frames, all)
	sites := fmt.Sprintf("%s on %s", counted(len(r.loaded.Sites), "site", "sites"), counted(len(r.loaded.Listeners), "listener", "listeners"))
	verdict := paint.good("ok")
	if n := len(r.loaded.Hazards); n > 0 {
		verdict = paint.warn("works, with " + counted(n, "hazard", "hazards"))
	} else if r.lost() {
		verdict = paint.warn("works, but not every request that browsers may send is served")
	}
	fmt.Fprintf(s.stdout, "%s: %s; %s\n", r.file, sites, verdict)
}
