package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
)

// logitsFlags are the flags of logits.
type logitsFlags struct {
	model, ids, out string
	opening         opening
}

func newLogits() *cobra.Command {
	var f logitsFlags
	cmd := &cobra.Command{
		Use:   "logits [flags] [MODEL] --ids 1,5,9 -o FILE",
		Short: "Write the logits after every token",
		Long: `Evaluates tokens and writes the logits after each to a file, to compare with any other engine:
for every token as many little-endian float32 numbers as the vocabulary is large. Of a model
without logits (BERT and its kin) it writes the final hidden states, for every token as many
numbers as they are wide. The file appears when it is complete.`,
		Example: `  goinfer logits model.gguf --ids 1,5,9 -o out.f32
  goinfer logits model.gguf --ids 1,5,9 -o out.f32 -ctk f32 -ctv f32 --exact
  goinfer tokens --ids "The sun rises" | goinfer logits --ids - -o - | wc -c`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.ids, "ids", "", "`IDS` to evaluate, separated by commas, or a JSON array; - means standard input")
	fs.StringVarP(&f.out, "out", "o", "", "`FILE` to write, - meaning standard output")
	addModel(fs, &f.model)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	return cmd
}

func (f *logitsFlags) run(cmd *cobra.Command, args []string) error {
	model, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	if f.ids == "" || f.out == "" {
		return usagef("want --ids and -o FILE")
	}
	if err := checkOut(cmd, "-o", f.out, "logits are no text", inputs{models: []string{model}}); err != nil {
		return err
	}
	opts, err := f.opening.options(cmd)
	if err != nil {
		return err
	}
	s, err := find(model)
	if err != nil {
		return err
	}
	if opts, err = s.withRope(cmd, opts); err != nil {
		return err
	}
	ids, err := f.tokens(cmd)
	if err != nil {
		return err
	}
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	for i, id := range ids {
		if n := m.Info().Config.NVocab; id < 0 || int(id) >= n {
			return fmt.Errorf("--ids: number %d is %d: the vocabulary has %d tokens, 0 to %d", i+1, id, n, n-1)
		}
	}
	return writeFile(cmd, f.out, func(w io.Writer) error {
		bar := startProgress(cmd, "evaluating", len(ids))
		defer bar.end()
		var buf []byte
		rows := func(pos int, row []float32) error {
			buf = buf[:0]
			for _, v := range row {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			bar.set(pos+1, len(ids))
			_, err := w.Write(buf)
			return err
		}
		if m.Info().Encoder {
			return withHint(m.Score(cmd.Context(), goinfer.Request{Tokens: ids, Hidden: rows}))
		}
		return withHint(m.Score(cmd.Context(), goinfer.Request{Tokens: ids, Logits: rows}))
	})
}

// tokens reads --ids.
func (f *logitsFlags) tokens(cmd *cobra.Command) ([]int32, error) {
	list := f.ids
	if list == "-" {
		var err error
		if list, err = readText(cmd, "-", true); err != nil {
			return nil, err
		}
	}
	list = strings.TrimSpace(list)
	if inner, ok := strings.CutPrefix(list, "["); ok {
		if list, ok = strings.CutSuffix(inner, "]"); !ok {
			return nil, usagef("--ids: want a ] for the [ that the list begins with")
		}
	}
	var ids []int32
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return nil, usagef("--ids: want numbers separated by commas, found %q", shorten(field, 40))
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
