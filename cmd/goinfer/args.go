package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// dashes are the spellings of llama.cpp that have one dash and several letters, of flags that
// commands here have under the long name. The flags library would take each for several flags.
var dashes = map[string]string{
	"-tb": "threads-batch", "-ub": "ubatch-size", "-ctk": "cache-type-k", "-ctv": "cache-type-v",
	"-bf": "binary-file", "-sp": "special", "-jf": "json-schema-file", "-lm": "load-mode",
	"-pg": "prompt-gen", "-npl": "n-parallel", "-npp": "n-prompt", "-ntg": "n-gen",
	"-oe": "output-err", "-dio": "no-mmap", "-hf": "hf-repo", "-hfr": "hf-repo", "-sys": "system-prompt",
	"-sysf": "system-prompt-file", "-cnv": "conversation", "-rea": "reasoning", "-mm": "mmproj",
}

// aliases are further names of flags.
var aliases = map[string]string{
	"n-predict": "predict", "temperature": "temp", "top-n-sigma": "top-nsigma", "typical-p": "typical", "reverse-prompt": "stop", "no-parse-special": "no-special",
	"output": "out", "outfile": "out", "outtype": "type", "escape": "escapes", "direct-io": "no-mmap", "usage": "help",
	"ctx": "ctx-size", "batch": "n-parallel", "kv": "cache-type", // plan's former names
}

// canonical finds a flag by any of its names, underscores for dashes included.
func canonical(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if long, ok := aliases[name]; ok {
		name = long
	}
	return pflag.NormalizedName(name)
}

// arguments are those of a command in the form that the flags library reads.
type arguments struct {
	cmd     *cobra.Command    // nil where it is not known: then args are as they were
	args    []string          // the command's name, flags, "--", and all else
	ignored []string          // flags of llama.cpp that have no effect here, as they were spelled
	notes   []string          // what else there is to say
	values  map[string]string // values of flags so far, by name
}

// translate brings the arguments of a command into the form that the flags library reads: spellings
// of llama.cpp as long ones, flags first, then "--" and the rest. So a text may begin with a dash
// if it cannot be a flag ("- item"). Values of flags, and all after a "--", are left alone.
func translate(root *cobra.Command, args []string) (arguments, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return arguments{args: args}, nil
	}
	cmd, _, err := root.Find(args[:1])
	if err != nil || !cmd.HasParent() || !cmd.Flags().HasFlags() {
		return arguments{args: args}, nil
	}
	depth := 1
	for ; depth < len(args) && cmd.HasSubCommands(); depth++ {
		sub, _, err := cmd.Find(args[depth : depth+1])
		if err != nil || sub == cmd {
			return arguments{args: args}, nil
		}
		cmd = sub
	}
	a := arguments{cmd: cmd, args: slices.Clone(args[:depth]), values: map[string]string{}}
	words := []string{"--"}
	for i := depth; i < len(args); {
		switch {
		case args[i] == "--":
			words = append(words, args[i+1:]...)
			i = len(args)
		case !isFlag(args[i]):
			words = append(words, args[i])
			i++
		default:
			used, err := a.flag(args[i], args[i+1:])
			if err != nil {
				return a, err
			}
			i += 1 + used
		}
	}
	a.args = append(a.args, words...)
	return a, nil
}

// flag adds the flag that an argument is. It returns how many arguments after it are its value.
func (a *arguments) flag(arg string, after []string) (used int, err error) {
	name, value, attached := strings.Cut(arg, "=")
	own, ok := spelled(a.cmd.Flags(), name)
	several := own == name && len(name) > 2 && !strings.HasPrefix(name, "--") // -ve, or -hf
	if f, known := findLlamaFlag(a.cmd, name); known && (!ok || several) {
		return a.take(f, name, value, attached, after)
	} else if !ok {
		return 0, unknownFlag(a.cmd, name)
	}
	f, takes := lastFlag(a.cmd.Flags(), own)
	switch {
	case attached:
		own += "=" + value
	case takes == required && len(after) == 0:
		return 0, usagef("%s wants a value", flagName(f))
	case takes == required:
		a.args = append(a.args, own, after[0])
		return 1, a.again(f, after[0])
	case takes == optional && len(after) > 0 && slices.Contains(choices(own), after[0]):
		own, used = own+"="+after[0], 1
	}
	a.args = append(a.args, own)
	if attached && f != nil {
		err = a.again(f, value)
	}
	return used, err
}

// choices are what may follow a flag that takes a value or none.
func choices(flag string) []string {
	if flag == "--think" {
		return []string{"on", "off", "auto", "low", "medium", "high"}
	}
	return optionalValues[:3]
}

// spelled is how the flags library spells a flag of a command, or several single letters in one
// word: "--ubatch-size" for -ub, "--temp" for -temp. A value may follow a letter if it does not
// begin with another: -n5, but not -p and its text in one, which might be a flag that is not known.
func spelled(fs *pflag.FlagSet, name string) (string, bool) {
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return name, fs.Lookup(long) != nil
	}
	if long, ok := dashes[name]; ok {
		if fs.Lookup(long) != nil {
			return "--" + long, true
		} else if strings.HasPrefix(long, "cache-type-") && fs.Lookup("cache-type") != nil {
			return "--cache-type", true // of plan, which has one format for keys and values
		}
	}
	letters := name[1:]
	if len(letters) > 1 && fs.Lookup(letters) != nil {
		return "--" + letters, true
	}
	for i := range letters {
		f := fs.ShorthandLookup(letters[i : i+1])
		switch {
		case f == nil:
			return "", false
		case takesValue(f) == required:
			rest := letters[i+1:]
			return name, rest == "" || !isLetter(rest[0])
		}
	}
	return name, true
}

// isFlag reports whether an argument is a flag and not a text: one or two dashes and a letter.
func isFlag(a string) bool {
	a, dash := strings.CutPrefix(a, "-")
	a, _ = strings.CutPrefix(a, "-")
	return dash && a != "" && isLetter(a[0])
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

type arity int

const (
	nothing  arity = iota
	required       // the next argument is the value
	optional       // the next argument is the value if it is on, off or auto
)

// takesValue says what follows a flag.
func takesValue(f *pflag.Flag) arity {
	switch {
	case f == nil || f.Value.Type() == "bool":
		return nothing
	case f.NoOptDefVal != "":
		return optional
	}
	return required
}

// lastFlag is the flag that the argument after the argument a would be a value of, and whether
// there is one. a is spelled as the flags library does, and has no "=" in it.
func lastFlag(fs *pflag.FlagSet, a string) (*pflag.Flag, arity) {
	if long, ok := strings.CutPrefix(a, "--"); ok {
		f := fs.Lookup(long)
		return f, takesValue(f)
	}
	for i := 1; i < len(a); i++ {
		f := fs.ShorthandLookup(a[i : i+1])
		if takesValue(f) == required && i < len(a)-1 {
			return nil, nothing // what follows the letter is its value
		} else if i == len(a)-1 {
			return f, takesValue(f)
		}
	}
	return nil, nothing
}

// unknownFlag is the error of a flag that a command does not have, as it was spelled.
func unknownFlag(cmd *cobra.Command, name string) error {
	hint := ""
	if word := strings.TrimLeft(name, "-"); len(word) > 2 {
		hint = suggest(cmd.Flags(), word)
	}
	short := !strings.HasPrefix(name, "--")
	switch {
	case !cmd.HasParent():
		hint = "; flags of a command come after its name, as in: goinfer run -n 100"
	case hint != "" || !short:
	case len(name) > 2 && takesValue(cmd.Flags().ShorthandLookup(name[1:2])) == required:
		hint = fmt.Sprintf("; a value of %s stands apart: %s %s", name[:2], name[:2], shellWord(name[2:]))
	default:
		hint = "; a text that begins with a dash goes after --"
	}
	return usagef("there is no flag %s%s", printable(name), hint)
}

// flagError is an error of the flags library in our words.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			name = "-" + s
		}
		return unknownFlag(cmd, name)
	case errors.As(err, &missing):
		return usagef("%s wants a value", flagName(missing.GetFlag()))
	case errors.As(err, &invalid):
		want := ""
		switch invalid.GetFlag().Value.Type() {
		case "int", "int64", "uint32", "uint64":
			want = "a whole number"
		case "float32", "float64":
			want = "a number"
		case "bool":
			want = "true or false"
		default:
			return usagef("%s: %w", flagName(invalid.GetFlag()), invalid.Unwrap())
		}
		return usagef("%s: want %s, found %q", flagName(invalid.GetFlag()), want, invalid.GetValue())
	}
	return &usageError{err}
}

func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return fmt.Sprintf("-%s, --%s", f.Shorthand, f.Name)
	}
	return "--" + f.Name
}

// suggest names the flag that is spelled most like name, if one is near. The measure is that for
// names of commands.
func suggest(fs *pflag.FlagSet, name string) string {
	names := &cobra.Command{}
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	for names.SuggestionsMinimumDistance = 1; names.SuggestionsMinimumDistance <= 2; names.SuggestionsMinimumDistance++ {
		if s := names.SuggestionsFor(name); len(s) > 0 {
			return "; did you mean --" + s[0] + "?"
		}
	}
	return ""
}
