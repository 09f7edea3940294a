package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/localca"
)

func (s *session) ca() *cobra.Command {
	c := &cobra.Command{
		Use:   "ca",
		Short: "The local certificate authority behind issuer: local",
	}
	group(c)
	c.AddCommand(s.caExport())
	return c
}

func (s *session) caExport() *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Write out the root certificate for trust stores",
		Long: `Write the root certificate (PEM, without its key) of the local certificate authority to stdout or to a file, and to
stderr how to make this system trust it. The authority lies in the state folder of the configuration, and is made there if
it does not exist yet.`,
		Example: `  usher ca export >root.pem
  usher ca export --out root.pem --os darwin`,
		Args: noArgs,
	}
	file := configFlag(c)
	out := c.Flags().StringP("out", "o", "", "file to write to (default: stdout)")
	all := c.Flags().Bool("all", false, "trust instructions for all systems")
	system := choiceFlag(c, "os", "trust instructions for this system", systems...)
	system.value = runtime.GOOS
	c.Flags().Lookup("os").DefValue = runtime.GOOS
	c.RunE = func(*cobra.Command, []string) error {
		l, err := load(*file)
		if err != nil {
			return err
		}
		store, err := localca.Open(filepath.Join(l.State, "ca"), nil)
		if err != nil {
			return &ExitError{exitFailed, err}
		}
		path := store.RootPath()
		if *out == "" {
			_, err = s.stdout.Write(store.RootPEM())
		} else {
			path = *out
			err = os.WriteFile(*out, store.RootPEM(), 0o644)
		}
		if err != nil {
			return &ExitError{exitFailed, err}
		}
		s.printTrust(path, system.value, *all)
		if notice := store.Notice(); notice != "" {
			fmt.Fprintf(s.stderr, "\n%s\n", notice)
		}
		return nil
	}
	return c
}

var systems = []string{"linux", "darwin", "windows"}

func (s *session) printTrust(path, system string, all bool) {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if !all {
		fmt.Fprint(s.stderr, localca.TrustInstructions(system, path))
		return
	}
	paint := s.paint(s.stderr)
	for i, each := range systems {
		if i > 0 {
			fmt.Fprintln(s.stderr)
		}
		fmt.Fprintf(s.stderr, "%s\n\n%s", paint.bold("== "+each+" =="), localca.TrustInstructions(each, path))
	}
}
