package cli

import (
	"github.com/spf13/cobra"
)

func (s *session) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes usher's commands in a shell",
		Example: `  source <(usher completion bash)                                      this shell, now
  usher completion bash >/etc/bash_completion.d/usher                  every shell (bash)
  usher completion zsh >"${fpath[1]}/_usher"                           every shell (zsh)
  usher completion fish >~/.config/fish/completions/usher.fish         every shell (fish)
  usher completion powershell | Out-String | Invoke-Expression         this shell, now (PowerShell)`,
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("usher completion bash", "name one shell: %s", either(shells))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.stdout, true)
			case "zsh":
				return root.GenZshCompletion(s.stdout)
			case "fish":
				return root.GenFishCompletion(s.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.stdout)
			}
			return usageError("the shells are "+either(shells), "unknown shell %q", args[0])
		},
	}
}
