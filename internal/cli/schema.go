package cli

import (
	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/gateway/config"
)

func (s *session) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long:  `Print the JSON Schema of the configuration file, from which editors complete keys and explain them.`,
		Example: `  usher schema >usher.schema.json
  # then, as the first line of usher.yaml, for editors with a YAML language server:
  # yaml-language-server: $schema=usher.schema.json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = s.stdout.Write(schema)
			return err
		},
	}
}
