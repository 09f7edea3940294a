package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/gateway/config"
)

const defaultConfig = "usher.yaml"

// configFlag adds -c.
func configFlag(c *cobra.Command) *string {
	file := c.Flags().StringP("config", "c", defaultConfig, "configuration file")
	if err := c.MarkFlagFilename("config", "yaml", "yml"); err != nil {
		panic(err) // the flag does not exist: a mistake in this package
	}
	return file
}

// completeListeners offers the names of the listeners in the configuration file.
func completeListeners(c *cobra.Command, flag string, file *string) {
	err := c.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		l, err := config.Load(*file, config.Options{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, each := range l.Listeners {
			names = append(names, each.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this package
	}
}

// load reads the configuration file. The error is config.Errors.
func load(file string) (*config.Loaded, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, config.Errors{{File: file, Message: "there is no such file", Hint: "-c names the configuration file; usher demo needs none"}}
	}
	return config.Load(file, config.Options{})
}
