package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
)

// convertFlags are the flags of convert.
type convertFlags struct {
	model, out string
	threads    int
	dry        bool
	options    convert.Options
}

func newConvert() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert [flags] DIR -o OUT",
		Short: "Write the folder of a checkpoint as a GGUF file",
		Long: `Writes the Hugging Face checkpoint in the folder DIR (config.json, safetensors files, a tokenizer)
to the file OUT: GGUF, as llama.cpp and others read it, with the vocabulary, the chat template and
all else that the folder says. Matrices keep their type, or become --type's: f32, f16, bf16, q8_0,
or another type; 'goinfer quantize --help' lists all types.

Weights pass through memory a part at a time: a model may be larger than it. OUT appears when it is
complete; - means standard output. --dry-run prints how large it would be.

A folder need not be converted to be run: everything that takes a GGUF file takes it.`,
		Example: `  goinfer convert Llama-3.2-1B-Instruct -o llama-3.2-1b.gguf
  goinfer convert Qwen3-8B -o qwen3-8b-q8_0.gguf --type q8_0
  goinfer convert Mixtral-8x7B --dry-run`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.out, "out", "o", "", "the `FILE` to write")
	fs.StringVar(&f.options.Type, "type", "", "`T` of the matrices (default the folder's)")
	fs.BoolVar(&f.dry, "dry-run", false, "write nothing, and say how large OUT, which may be left out, would be")
	fs.IntVarP(&f.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	addModel(fs, &f.model)
	fs.Lookup("model").Usage = "the same as `DIR`"
	return cmd
}

func (f *convertFlags) run(cmd *cobra.Command, args []string) error {
	if f.model != "" {
		args = append([]string{f.model}, args...)
	}
	o := &f.options
	o.Threads = max(0, f.threads)
	switch {
	case len(args) != 1:
		return usagef("want DIR, found %s", plural(len(args), "argument"))
	case f.out == "" && !f.dry:
		return usagef("want -o with the file to write")
	case o.Threads > goinfer.MaxThreads:
		return usagef("-t, --threads: want at most %d, found %d", goinfer.MaxThreads, f.threads)
	}
	if !f.dry {
		if err := checkOut(cmd, "-o", f.out, "a model is no text", inputs{models: args}); err != nil {
			return err
		}
	}
	if o.Type != "" {
		if err := convert.CheckType(o.Type, false); err != nil {
			return &usageError{fmt.Errorf("--type: %w", err)}
		}
	}
	s, err := find(args[0])
	if err != nil {
		return err
	}
	return writeModel(cmd, s, f.out, "converting", f.dry, *o)
}
