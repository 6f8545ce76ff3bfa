package main

import (
	"cmp"
	"io"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer/study/eval"
)

// imatrixFlags are the flags of imatrix.
type imatrixFlags struct {
	model, out string
	chunks     int
	text       texts
	opening    opening
}

func newImatrix() *cobra.Command {
	var f imatrixFlags
	cmd := &cobra.Command{
		Use:   "imatrix [flags] [MODEL] -f FILE -o OUT",
		Short: "Measure which weights matter most, for quantize",
		Long: `Evaluates a text in chunks of 512 tokens (-c), measures how much each column of each matrix is
used, and writes OUT: an importance matrix in GGUF as llama-imatrix writes it, for quantize
--imatrix. MODEL is best in F16 or BF16. OUT appears when it is complete.`,
		Example: `  goinfer imatrix model-f16.gguf -f text.txt -o imatrix.gguf
  goinfer quantize model-f16.gguf small.gguf iq2_xs --imatrix imatrix.gguf`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	f.text.add(fs, "TEXT")
	fs.StringVarP(&f.out, "out", "o", "", "`OUT`, the file to write, - meaning standard output")
	fs.IntVar(&f.chunks, "chunks", 0, "evaluate at most N chunks (default all)")
	f.text.addEscapes(fs)
	addModel(fs, &f.model)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	fs.Lookup("ctx-size").Usage = "tokens of a chunk (default 512)"
	return cmd
}

func (f *imatrixFlags) run(cmd *cobra.Command, args []string) error {
	model, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	if f.out == "" {
		return usagef("want -o OUT")
	}
	if err := checkOut(cmd, "-o", f.out, "an importance matrix is no text", inputs{models: []string{model}, files: f.text.inputs()}); err != nil {
		return err
	}
	opts, err := f.opening.options(cmd)
	if err != nil {
		return err
	}
	opts.Context = cmp.Or(opts.Context, eval.DefaultChunk)
	m, chunks, err := openChunks(cmd, model, opts, &f.text)
	if err != nil {
		return err
	}
	defer m.Close()
	var ids [][]int32
	for _, c := range chunks[:min(cmp.Or(max(0, f.chunks), len(chunks)), len(chunks))] {
		ids = append(ids, c.Input)
	}
	bar := startProgress(cmd, "chunks", len(ids))
	defer bar.end()
	w, err := eval.CollectImportance(cmd.Context(), m, ids, cmp.Or(f.text.file, "-"), bar.set)
	if err != nil {
		return err
	}
	return writeFile(cmd, f.out, func(out io.Writer) error {
		_, err := w.WriteTo(out)
		return err
	})
}
