// Package cli is the command line of usher: one file a command. Nothing in it ends the process: [Run] returns errors, and
// [ExitCode] says which code they stand for.
package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// A session is one run of the program: where it reads, writes and what surrounds it.
type session struct {
	env    []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// Run runs the command that args name (without the program's own name) in the environment env ("KEY=value"). What is wrong
// has been written to stderr when it returns; the error is for [ExitCode]. Cancelling ctx ends commands that serve, as
// SIGTERM does.
func Run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) error {
	out := &written{Writer: stdout}
	s := &session{env: env, stdin: stdin, stdout: out, stderr: stderr}
	root := s.root()
	root.SetArgs(args)
	err := out.outcome(root.ExecuteContext(ctx))
	s.report(err)
	return err
}

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "usher",
		Short: "The doorman of an HTTP edge",
		Long: `Usher decides for every request whether the connection that it came on may carry it. What may not is answered
421 (Misdirected Request), so that the client comes back on the right connection.`,
		Example: `  usher demo                       see it at work on this machine
  usher check -c usher.yaml        what is wrong with a configuration, and what it means
  usher serve -c usher.yaml        the gateway`,
		Version:           moduleVersion(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetVersionTemplate("usher {{.Version}}\n")
	group(root)
	root.SetIn(s.stdin)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show how a command is used",
		RunE:  func(_ *cobra.Command, args []string) error { return help(root, args) },
	})
	root.AddCommand(s.serve(), s.check(), s.explain(), s.probe(), s.demo(), s.status(), s.guide(), s.ca(), s.schema(), s.version(), s.completion())
	return root
}

// group makes a command that has commands below it show its help, and refuse words that are none of them.
func group(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
}

func help(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return unknownCommand(c, rest[0])
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	return c.Help()
}
