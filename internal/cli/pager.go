package cli

import (
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/term"
)

// page writes text, through the program in PAGER where it is longer than the terminal is high. Without PAGER, and where it
// does not start, the text is just written.
func (s *session) page(text string) error {
	if f, ok := s.stdout.(*os.File); ok && s.getenv("PAGER") != "" && s.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && strings.Count(text, "\n") >= height && s.through(text) {
			return nil
		}
	}
	_, err := io.WriteString(s.stdout, text)
	return err
}

// through shows text in the pager and reports whether that worked. A pager that was left early has worked.
func (s *session) through(text string) bool {
	args := strings.Fields(s.getenv("PAGER"))
	if len(args) == 0 {
		return false
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), s.stdout, s.stderr
	cmd.Env = s.env
	if s.getenv("LESS") == "" {
		cmd.Env = append(cmd.Env, "LESS=FRX") // colours, and no screen of its own
	}
	if err := cmd.Start(); err != nil {
		return false
	}
	cmd.Wait()
	return true
}
