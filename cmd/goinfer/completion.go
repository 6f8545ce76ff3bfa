package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that a script can be written for.
var shells = []struct {
	name  string
	write func(root *cobra.Command, out io.Writer) error
}{
	{"bash", func(root *cobra.Command, out io.Writer) error { return root.GenBashCompletionV2(out, true) }},
	{"zsh", func(root *cobra.Command, out io.Writer) error { return root.GenZshCompletion(out) }},
	{"fish", func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) }},
	{"powershell", func(root *cobra.Command, out io.Writer) error { return root.GenPowerShellCompletionWithDesc(out) }},
}

func newCompletion() *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write a script that completes commands in a shell",
		Long: `Writes a script for SHELL: ` + want + `. Once the shell has read it, the tab
key completes commands, flags and models.`,
		Example: `  source <(goinfer completion bash)                             # in this bash
  goinfer completion bash > /etc/bash_completion.d/goinfer      # in every bash
  goinfer completion zsh > "${fpath[1]}/_goinfer"               # in every zsh, after compinit
  goinfer completion fish > ~/.config/fish/completions/goinfer.fish
  goinfer completion powershell | Out-String | Invoke-Expression`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one shell, %s, found %s", want, plural(len(args), "argument"))
			}
			i := slices.Index(names, args[0])
			if i < 0 {
				return usagef("there is no script for %q: want %s", args[0], want)
			}
			return shells[i].write(cmd.Root(), cmd.OutOrStdout())
		},
	}
}
