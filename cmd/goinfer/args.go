package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// dashes are the spellings of llama.cpp that have one dash and several letters, which the flags library would take for several flags. Those of flags
// that this command lacks are here so that an error names them, and nobody's -hf is taken for -h.
var dashes = map[string]string{
	"-tb": "threads-batch", "-ub": "ubatch-size", "-ctk": "cache-type-k", "-ctv": "cache-type-v", "-bf": "binary-file", "-sp": "special",
	"-pg": "prompt-gen", "-npl": "n-parallel", "-npp": "n-prompt", "-ntg": "n-gen", "-oe": "output-err",
	"-fa": "flash-attn", "-ngl": "gpu-layers", "-st": "single-turn", "-no-cnv": "no-conversation", "-co": "color", "-lm": "load-mode", "-np": "parallel",

	"-bs": "backend-sampling", "-cb": "cont-batching", "-cl": "cache-list", "-cmoe": "cpu-moe", "-cnv": "conversation", "-ctkd": "cache-type-k-draft", "-ctvd": "cache-type-v-draft",
	"-dev": "device", "-fit": "fit", "-fitc": "fit-ctx", "-fitt": "fit-target", "-hf": "hf-repo", "-hfd": "hf-repo-draft", "-hff": "hf-file", "-hfr": "hf-repo", "-hft": "hf-token",
	"-jf": "json-schema-file", "-lv": "verbosity", "-md": "model-draft", "-mg": "main-gpu", "-mli": "multiline-input", "-mm": "mmproj", "-mmu": "mmproj-url", "-mu": "model-url",
	"-ncmoe": "n-cpu-moe", "-ndio": "no-direct-io", "-nkvo": "no-kv-offload", "-nocb": "no-cont-batching", "-nr": "no-repack", "-ot": "override-tensor", "-ptc": "print-token-count",
	"-rea": "reasoning", "-sm": "split-mode", "-sys": "system-prompt", "-sysf": "system-prompt-file", "-tbd": "threads-batch-draft", "-td": "threads-draft", "-ts": "tensor-split",
}

// aliases are further names of flags.
var aliases = map[string]string{
	"n-predict": "predict", "temperature": "temp", "top-n-sigma": "top-nsigma", "typical-p": "typical", "reverse-prompt": "stop", "no-parse-special": "no-special",
	"n-gpu-layers": "gpu-layers", "output": "out", "outfile": "out", "outtype": "type", "no-escape": "no-escapes", "escape": "escapes",
}

// canonical finds a flag by any of its names, underscores for dashes included.
func canonical(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if long, ok := aliases[name]; ok {
		name = long
	}
	return pflag.NormalizedName(name)
}

// translate brings the arguments of a command into the form that the flags library reads: spellings of llama.cpp turned into long ones, flags first, then "--" and the
// rest. So a text may begin with a dash if it cannot be a flag ("- item"). Values of flags, and all behind a "--", are left alone.
func translate(root *cobra.Command, args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return args
	}
	cmd, _, err := root.Find(args[:1])
	if err != nil || !cmd.HasParent() || !cmd.Flags().HasFlags() {
		return args
	}
	depth := 1
	for ; depth < len(args) && cmd.HasSubCommands(); depth++ {
		sub, _, err := cmd.Find(args[depth : depth+1])
		if err != nil || sub == cmd {
			return args
		}
		cmd = sub
	}
	flags, words := slices.Clone(args[:depth]), []string{"--"}
	for i := depth; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			words = append(words, args[i+1:]...)
			break
		}
		if !isFlag(a) {
			words = append(words, a)
			continue
		}
		name, _, attached := strings.Cut(a, "=")
		if long, ok := dashes[name]; ok {
			a = "--" + long + a[len(name):]
		}
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch takes := takesValue(cmd.Flags(), a); {
		case attached || takes == nothing:
		case takes == required && i+1 == len(args):
			return append(flags, a) // the value is missing, which the flags library will say
		case takes == required:
			flags = append(flags, a, next)
			i++
			continue
		case next == "on" || next == "off" || next == "auto", a == "--think" && (next == "low" || next == "medium" || next == "high"):
			a += "=" + next
			i++
		}
		flags = append(flags, a)
	}
	return append(flags, words...)
}

// isFlag reports whether an argument is a flag and not a text: one or two dashes and a letter.
func isFlag(a string) bool {
	a, dash := strings.CutPrefix(a, "-")
	a, _ = strings.CutPrefix(a, "-")
	return dash && a != "" && (a[0]|0x20 >= 'a' && a[0]|0x20 <= 'z')
}

type arity int

const (
	nothing  arity = iota
	required       // the next argument is the value
	optional       // the next argument is the value if it is on, off or auto
)

// takesValue tells what follows the argument a, which has no "=" in it.
func takesValue(fs *pflag.FlagSet, a string) arity {
	of := func(f *pflag.Flag) arity {
		switch {
		case f == nil || f.Value.Type() == "bool":
			return nothing
		case f.NoOptDefVal != "":
			return optional
		}
		return required
	}
	if long, ok := strings.CutPrefix(a, "--"); ok {
		return of(fs.Lookup(long))
	}
	for i := 1; i < len(a); i++ {
		if of(fs.ShorthandLookup(a[i:i+1])) == required {
			if i == len(a)-1 {
				return required
			}
			return nothing // what follows the letter is its value
		}
	}
	return nothing
}

// flagError turns what the flags library has to say into our words.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		name, hint := unknown.GetSpecifiedName(), ""
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			name, hint = "-"+name, "; a text that begins with a dash goes behind --"
			if len(s) > 1 {
				name += fmt.Sprintf(" (in -%s)", s)
			}
		} else {
			hint = suggest(cmd.Flags(), name)
			name = "--" + name
			for _, short := range slices.Sorted(maps.Keys(dashes)) {
				if name == "--"+dashes[short] {
					name += " (" + short + ")"
				}
			}
		}
		if !cmd.HasParent() {
			hint = "; those of a command go behind it, as in: goinfer run -n 100"
		}
		return usagef("there is no flag %s%s", name, hint)
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

// suggest names the flag that is spelled most like name, if one is near. The measure is that for names of commands.
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
