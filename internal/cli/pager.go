package cli

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/term"
)

// page writes text, through a pager where it is longer than the terminal is high. Without one, and where it does not start, the text is
// just written.
func (s *session) page(text string) error {
	if f, ok := fileOf(s.stdout); ok && s.pager() != "" && s.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && strings.Count(text, "\n") >= height && s.through(text) {
			return nil
		}
	}
	_, err := io.WriteString(s.stdout, text)
	return err
}

// pager is what PAGER says, and less where it is not set at all. An empty PAGER is the wish for none.
func (s *session) pager() string {
	for _, e := range slices.Backward(s.env) {
		if program, ok := strings.CutPrefix(e, "PAGER="); ok {
			return program
		}
	}
	return "less"
}

// through shows text in the pager and reports whether that worked. A pager that was left early has worked.
func (s *session) through(text string) bool {
	args := strings.Fields(s.pager())
	if len(args) == 0 {
		return false
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), s.stdout, s.stderr
	if f, ok := fileOf(s.stdout); ok {
		cmd.Stdout = f // the terminal itself, not a pipe to it
	}
	cmd.Env = s.env
	if s.getenv("LESS") == "" {
		cmd.Env = append(cmd.Env, "LESS=FRX") // colours, and no screen of its own
	}
	// Ctrl-C is for the pager as long as that runs: it must not be left behind on the terminal.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if err := cmd.Start(); err != nil {
		return false
	}
	cmd.Wait()
	return true
}
