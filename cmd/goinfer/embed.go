package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
)

// embedFlags are the flags of embed.
type embedFlags struct {
	model, pooling string
	text           texts
	lines, raw     bool
	opening        opening
}

// poolings are the spellings of --pooling.
var poolings = map[string]goinfer.Pooling{"": goinfer.PoolDefault, "mean": goinfer.PoolMean, "cls": goinfer.PoolFirst, "last": goinfer.PoolLast}

func newEmbed() *cobra.Command {
	var f embedFlags
	cmd := &cobra.Command{
		Use:        "embed [flags] [MODEL] [TEXT]",
		Short:      "Write the embedding of a text",
		SuggestFor: []string{"embedding", "embeddings"},
		Long: `Writes the embedding of TEXT as a JSON array on one line: the final hidden states of its tokens, pooled
and brought to length 1, so that the similarity of two texts is the sum of the products of theirs.
Models made for it, such as BERT, Nomic and Qwen3-Embedding, give embeddings that mean something.

Without TEXT it is read from standard input. With --lines every line is a text, and has a line of
the output.`,
		Example: `  goinfer embed nomic-embed.gguf "search_query: how do bees see?"
  goinfer embed bge-small.gguf --lines -f texts.txt > embeddings.jsonl`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	f.text.add(fs, "TEXT")
	f.text.addEscapes(fs)
	fs.BoolVar(&f.lines, "lines", false, "take every line for a text of its own")
	fs.StringVar(&f.pooling, "pooling", "", "`KIND` of pooling: mean, cls (the first token) or last (default the model's)")
	fs.BoolVar(&f.raw, "raw", false, "leave the length as it is")
	addModel(fs, &f.model)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	return cmd
}

func (f *embedFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	pooling, ok := poolings[f.pooling]
	if !ok {
		return usagef("--pooling: want mean, cls or last, found %q", shorten(f.pooling, 40))
	}
	s, opts, text, err := f.opening.withText(cmd, model, &f.text, argument)
	if err != nil {
		return err
	}
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	texts := []string{text}
	if f.lines {
		texts = strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	}
	enc := json.NewEncoder(out)
	for i, text := range texts {
		e, err := m.Embed(cmd.Context(), goinfer.EmbedRequest{Text: text, Pooling: pooling, Raw: f.raw})
		if err != nil && f.lines {
			err = fmt.Errorf("line %d: %w", i+1, err)
		}
		if err != nil {
			return withHint(err)
		}
		if j := slices.IndexFunc(e, func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }); j >= 0 {
			return fmt.Errorf("%s: element %d of the embedding is %v: want finite numbers", s, j, e[j])
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
