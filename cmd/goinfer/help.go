package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group marks the flags that were added by add as belonging under a heading of the help text.
func group(fs *pflag.FlagSet, heading string, add func(*pflag.FlagSet)) {
	g := pflag.NewFlagSet("", pflag.ContinueOnError)
	g.SortFlags = false
	add(g)
	g.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{"heading": {heading}}
		fs.AddFlag(f)
	})
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell about a command",
		Long:  "Tells about COMMAND, as its flag --help does, or about goinfer.",
		Example: `  goinfer help
  goinfer help run`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, left, err := cmd.Root().Find(args)
			if err == nil && len(left) > 0 && about.HasParent() {
				return usagef("want one command, found %s", plural(len(args), "argument"))
			}
			if err != nil || len(args) > 0 && !about.HasParent() {
				return noCommand(cmd.Root(), args)
			}
			return about.Help()
		},
	}
}

// placeholder is the value of a flag in a help text: its type is a word for what the flag wants.
type placeholder struct{ pflag.Value }

func (p placeholder) Type() string {
	switch t := p.Value.Type(); t {
	case "int", "int64", "uint64":
		return "N"
	case "float32", "float64":
		return "X"
	case "type":
		return "TYPE"
	default:
		return t
	}
}

// printUsage writes what follows the description in a help text: usage, commands, flags under their headings, examples.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	if cmd.Runnable() && cmd.HasParent() {
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	} else {
		fmt.Fprintf(&b, "Usage:\n  %s COMMAND [flags] [arguments]\n", cmd.CommandPath())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				fmt.Fprintf(&b, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	var headings []string
	sets := map[string]*pflag.FlagSet{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		shown := *f
		if shown.Value = (placeholder{f.Value}); f.DefValue == "[]" {
			shown.DefValue = ""
		}
		h := "Flags"
		if a := f.Annotations["heading"]; len(a) > 0 {
			h = a[0]
		}
		if sets[h] == nil {
			sets[h] = pflag.NewFlagSet("", pflag.ContinueOnError)
			sets[h].SortFlags = false
			headings = append(headings, h)
		}
		sets[h].AddFlag(&shown)
	})
	for _, h := range headings {
		if text := sets[h].FlagUsages(); text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s", h, text)
		}
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n'%s COMMAND --help' tells more about a command.\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
