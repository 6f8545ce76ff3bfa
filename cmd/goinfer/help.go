package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

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
		Short: "Show the help of a command",
		Long:  "Shows the help of COMMAND, as 'goinfer COMMAND --help' does, or that of goinfer.",
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
	case "numbers":
		return "N,..."
	default:
		return t
	}
}

// helpColumns is where lines of a help text end at the latest.
const helpColumns = 80

// writeHelp writes the help text of a command at once, so that a failure to write it is one.
func writeHelp(cmd *cobra.Command) error {
	var b strings.Builder
	if about := cmp.Or(cmd.Long, cmd.Short); about != "" {
		b.WriteString(reflow(about, helpColumns) + "\n\n")
	}
	writeUsage(&b, cmd)
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// reflow breaks the lines of paragraphs, so that none is longer than width. Lines that begin
// with a space stay as they are.
func reflow(text string, width int) string {
	var b strings.Builder
	at := 0 // column
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == ' ' {
			if at > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(line + "\n")
			at = 0
			continue
		}
		for word := range strings.FieldsSeq(line) {
			n := utf8.RuneCountInString(word)
			switch {
			case at == 0:
			case at+1+n > width:
				b.WriteByte('\n')
				at = 0
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// writeUsage writes what follows the description in a help text: usage, commands, flags under their
// headings, examples.
func writeUsage(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Runnable() && cmd.HasParent() {
		fmt.Fprintf(b, "Usage:\n  %s\n", cmd.UseLine())
	} else {
		fmt.Fprintf(b, "Usage:\n  %s COMMAND [flags] [arguments]\n", cmd.CommandPath())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				fmt.Fprintf(b, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	writeFlags(b, cmd.Flags())
	if cmd.HasExample() {
		fmt.Fprintf(b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(b, "\n'%s COMMAND --help' shows the flags of a command.\n", cmd.CommandPath())
	}
}

// writeFlags writes flags under their headings.
func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	var headings []string
	sets := map[string]*pflag.FlagSet{}
	flags.VisitAll(func(f *pflag.Flag) {
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
		if text := sets[h].FlagUsagesWrapped(helpColumns); text != "" {
			fmt.Fprintf(b, "\n%s:\n%s", h, text)
		}
	}
}
