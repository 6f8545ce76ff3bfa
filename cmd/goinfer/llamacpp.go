package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// llamaFlag is a flag of llama.cpp's programs that the commands here do not have.
type llamaFlag struct {
	value  arity
	silent bool     // the flag without a value asks for what happens here anyway
	usual  []string // values that do
	why    string   // why it is refused; empty for a flag that has no effect
}

// llamaFlags are those of llamaTables by their spellings, table by table.
var llamaFlags = sync.OnceValue(func() []map[string]llamaFlag {
	var all []map[string]llamaFlag
	for _, t := range llamaTables {
		flags := map[string]llamaFlag{}
		enterFlags(flags, t.same, llamaFlag{silent: true})
		enterFlags(flags, t.noEffect, llamaFlag{})
		for _, r := range t.refused {
			enterFlags(flags, r.flags, llamaFlag{why: r.why})
		}
		all = append(all, flags)
	}
	return all
})

// enterFlags adds the flags of lines of a flagTable that are like f.
func enterFlags(to map[string]llamaFlag, lines string, f llamaFlag) {
	for line := range strings.Lines(lines) {
		var names []string
		f := f
		for _, word := range strings.Fields(line) {
			value, usual := strings.CutPrefix(word, "=")
			switch {
			case word == "N":
				f.value = required
			case word == "?":
				f.value = optional
			case usual:
				f.usual = append(f.usual, value)
			default:
				names = append(names, word)
			}
		}
		for _, n := range names {
			to[n] = f
		}
	}
}

// findLlamaFlag finds a flag of llama.cpp by any of its spellings, for a command.
func findLlamaFlag(cmd *cobra.Command, name string) (llamaFlag, bool) {
	if strings.HasPrefix(name, "--") {
		name = strings.ReplaceAll(name, "_", "-")
	}
	for i, t := range llamaTables {
		f, ok := llamaFlags()[i][name]
		if ok && (len(t.commands) == 0 || slices.Contains(t.commands, cmd.Name())) {
			return f, true
		}
	}
	return llamaFlag{}, false
}

// optionalValues are what may follow a flag that takes a value or none.
var optionalValues = []string{"on", "off", "auto", "0", "1", "-1", "true", "false", "enabled", "disabled"}

// asksUsual reports whether a value, or each of several that are separated by commas, asks for what
// happens here anyway.
func (f llamaFlag) asksUsual(value string) bool {
	for v := range strings.SplitSeq(value, ",") {
		if !slices.Contains(f.usual, v) {
			return false
		}
	}
	return !strings.Contains(value, ",")
}

// take deals with a flag of llama.cpp that was given as name, or as name=value if attached. It
// returns how many arguments after it are its value.
func (a *arguments) take(f llamaFlag, name, value string, attached bool, after []string) (used int, err error) {
	given := attached
	switch {
	case attached || f.value == nothing:
	case f.value == required && len(after) == 0:
		return 0, usagef("%s wants a value", name)
	case f.value == required || len(after) > 0 && slices.Contains(optionalValues, after[0]):
		value, given, used = after[0], true, 1
	}
	switch {
	case given && f.asksUsual(value) || !given && f.silent || given && f.silent && len(f.usual) == 0:
	case f.why != "":
		return used, usagef("%s is not supported: %s", name, f.why)
	case !slices.Contains(a.ignored, name):
		a.ignored = append(a.ignored, name)
	}
	return used, nil
}

// report prints one note about all that has no effect, and one about each value that counts for
// nothing since another follows.
func (a *arguments) report(cmd *cobra.Command) {
	switch n := len(a.ignored); {
	case n == 1:
		note(cmd, "%s has no effect here", a.ignored[0])
	case n > 1:
		note(cmd, "%s and %s have no effect here", strings.Join(a.ignored[:n-1], ", "), a.ignored[n-1])
	}
	for _, text := range a.notes {
		note(cmd, "%s", text)
	}
}

// again checks a flag that is given once more: a text or a model must be one, and of other flags
// the last value counts, as in llama.cpp.
func (a *arguments) again(f *pflag.Flag, value string) error {
	before, twice := a.values[f.Name]
	a.values[f.Name] = value
	if _, list := f.Value.(pflag.SliceValue); list || !twice {
		return nil
	}
	switch f.Value.(type) {
	case *numbers, *pairs, *cacheTypes:
		return nil
	}
	switch f.Name {
	case "model", "prompt", "file", "binary-file":
		return usagef("%s is given twice: want one of %s and %s", flagName(f), shellWord(shorten(before, 40)), shellWord(shorten(value, 40)))
	}
	if before != value {
		a.notes = append(a.notes, fmt.Sprintf("%s is given twice: the last value, %s, counts", flagName(f), shorten(value, 40)))
	}
	return nil
}
