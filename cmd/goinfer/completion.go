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
	{"bash", func(root *cobra.Command, out io.Writer) error {
		if err := root.GenBashCompletionV2(out, true); err != nil {
			return err
		}
		_, err := io.WriteString(out, bashFallback)
		return err
	}},
	{"zsh", func(root *cobra.Command, out io.Writer) error { return root.GenZshCompletion(out) }},
	{"fish", func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) }},
	{"powershell", func(root *cobra.Command, out io.Writer) error { return root.GenPowerShellCompletionWithDesc(out) }},
}

// bashFallback are the two functions of the package bash-completion that the script for bash calls,
// as far as it needs them, for shells without that package.
const bashFallback = `
if ! type -t _get_comp_words_by_ref >/dev/null; then
    # Sets cur, prev, words and cword. Bash splits words at = and :, which are joined again.
    _get_comp_words_by_ref() {
        local i joined=("${COMP_WORDS[0]}") at=0
        for ((i = 1; i < ${#COMP_WORDS[@]}; i++)); do
            case "${COMP_WORDS[i]}" in
                =|:|=:|::) joined[at]+="${COMP_WORDS[i]}" ;;
                *)
                    case "${joined[at]}" in
                        *[=:]) if ((at > 0)); then joined[at]+="${COMP_WORDS[i]}"; else joined[++at]="${COMP_WORDS[i]}"; fi ;;
                        *) joined[++at]="${COMP_WORDS[i]}" ;;
                    esac ;;
            esac
            ((i == COMP_CWORD)) && cword=$at
        done
        words=("${joined[@]}")
        cur="${words[cword]}"
        prev="${words[cword > 0 ? cword - 1 : 0]}"
    }
fi
if ! type -t __ltrim_colon_completions >/dev/null; then
    # Takes what stands before the last colon away, which bash does not replace.
    __ltrim_colon_completions() {
        local i
        case "$1" in
            *:*) for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]="${COMPREPLY[i]#"${1%"${1##*:}"}"}"; done ;;
        esac
    }
fi
`

func newCompletion() *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write a script for the tab key in a shell",
		Long: `Writes a script for SHELL: ` + want + `. Once the shell has read it, the tab
key completes commands, flags and models.`,
		Example: `  source <(goinfer completion bash)
  goinfer completion bash > /etc/bash_completion.d/goinfer
  goinfer completion zsh > "${fpath[1]}/_goinfer"
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
