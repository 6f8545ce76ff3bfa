package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
)

// tokensFlags are the flags of tokens.
type tokensFlags struct {
	model                 string
	text                  texts
	ids, noBOS, noSpecial bool
}

func newTokens() *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:        "tokens [flags] [MODEL] [TEXT]",
		Short:      "Show the tokens of a text",
		SuggestFor: []string{"tokenize", "tokenise", "encode"},
		Long: `Writes the tokens of TEXT, one to a line: its id, and the bytes it stands for in quotation marks.
Control tokens stand without. Works on any GGUF file with a vocabulary and on any Hugging Face folder with one,
with or without weights.

A single argument is MODEL or TEXT as for run. Without TEXT it is read from standard input, byte
for byte.`,
		Example: `  goinfer tokens model.gguf "Hello world"
  goinfer tokens --ids "The sun rises in the"
  goinfer tokens model.gguf --no-bos < story.txt`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.ids, "ids", false, "write the ids alone, as one JSON array")
	fs.BoolVar(&f.noBOS, "no-bos", false, "add no special token: no BOS, EOS, CLS or SEP")
	fs.BoolVar(&f.noSpecial, "no-special", false, "take special tokens that are spelled in TEXT for plain text")
	f.text.add(fs, "TEXT")
	f.text.addEscapes(fs)
	addModel(fs, &f.model)
	fs.Bool("stdin", false, "")
	hide(fs, "stdin")
	return cmd
}

func (f *tokensFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	s, err := find(model)
	if err != nil {
		return err
	}
	text, err := f.text.read(cmd, argument, true)
	if err != nil {
		return err
	}
	v, err := await(cmd.Context(), func() (*goinfer.Tokenizer, error) { return s.tokenizer(cmd.Context()) })
	if err != nil {
		return err
	}
	ids := v.Encode([]int32{}, text, !f.noBOS, !f.noSpecial)
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.ids {
		data, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		out.Write(append(data, '\n'))
		return out.Flush()
	}
	for _, id := range ids {
		piece := printable(v.Spelling(id))
		if b := v.Bytes(id); len(b) > 0 {
			piece = strconv.Quote(string(b))
		}
		fmt.Fprintf(out, "%7d  %s\n", id, piece)
	}
	return out.Flush()
}
