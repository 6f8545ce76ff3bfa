package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// perplexityFlags are the flags of perplexity.
type perplexityFlags struct {
	model, base string
	chunks      int
	json        bool
	spread      bool
	score       string
	text        texts
	opening     opening
	routing     routing
}

func newPerplexity() *cobra.Command {
	var f perplexityFlags
	cmd := &cobra.Command{
		Use:   "perplexity [flags] [MODEL] -f FILE",
		Short: "Measure how well a model predicts a text",
		Long: `Cuts a text into chunks of 512 tokens (-c), has MODEL predict the second half of each, and prints
the perplexity with its standard error, counted as llama-perplexity does. With --kl BASE, a model
with the same vocabulary, it also prints how far the predictions are from those of BASE:
the Kullback–Leibler divergence, how often both find the same token most probable, and how the
probability of the right token differs. The flags of the router are for MODEL and not for BASE, which
may be the same one. --json prints the same for programs.

With --score it takes in place of a text lines of JSON with two texts, {"context": "…",
"continuation": "…"}, and prints for each the log-likelihood of the second after the first, the
number of its tokens, and whether each of them is the most probable: what evaluation harnesses need.`,
		Example: `  goinfer perplexity model-q4_k_m.gguf -f wiki.test.raw
  goinfer perplexity model-q4_k_m.gguf -f wiki.test.raw --kl model-f16.gguf
  goinfer perplexity tiny-moe -f text.txt --kl tiny-moe --experts-top-k 1
  goinfer perplexity tiny-dense -f builtin:valid.txt --chunks 10 --spread --json
  goinfer perplexity model.gguf --score questions.jsonl > scores.jsonl`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	f.text.add(fs, "TEXT")
	fs.StringVar(&f.base, "kl", "", "compare with the model `BASE`")
	fs.IntVar(&f.chunks, "chunks", 0, "measure at most N chunks (default all)")
	fs.BoolVar(&f.spread, "spread", false, "take the N chunks evenly spread over the text, in place of the first")
	fs.StringVar(&f.score, "score", "", "score the continuations in `FILE`, - meaning standard input")
	fs.BoolVar(&f.json, "json", false, "print the result as JSON")
	f.text.addEscapes(fs)
	addModel(fs, &f.model)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	group(fs, routingHeading, f.routing.add)
	fs.Lookup("ctx-size").Usage = "tokens of a chunk (default 512)"
	return cmd
}

func (f *perplexityFlags) run(cmd *cobra.Command, args []string) error {
	model, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	opts, err := f.opening.options(cmd)
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("score") {
		return f.scoreLines(cmd, model, opts)
	}
	opts.Context = cmp.Or(opts.Context, eval.DefaultChunk)
	m, chunks, err := openChunks(cmd, model, opts, &f.text)
	if err != nil {
		return err
	}
	defer m.Close()
	if f.spread {
		chunks = eval.Spread(chunks, f.chunks)
	}
	hook, err := f.routing.hook(m)
	if err != nil {
		return err
	}
	bar := startProgress(cmd, "chunks", len(chunks))
	defer bar.end()
	o := eval.Options{Chunks: max(0, f.chunks), Hook: hook, Done: bar.set}
	if f.base == "" {
		r, err := eval.Perplexity(cmd.Context(), m, chunks, o)
		bar.end()
		if err != nil {
			return err
		}
		return f.print(cmd.OutOrStdout(), r, func(out io.Writer) { writePerplexity(out, r) })
	}
	opts.typ, opts.Overrides, opts.rope = "", nil, nil // the base is as its file has it
	base, err := openNamed(cmd, f.base, opts)
	if err != nil {
		return err
	}
	defer base.Close()
	c, err := eval.Compare(cmd.Context(), m, base, chunks, o)
	bar.end()
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), c, func(out io.Writer) { writeComparison(out, c) })
}

// openChunks opens a model and cuts a text into chunks that fill its context.
func openChunks(cmd *cobra.Command, model string, opts modelOptions, from *texts) (*goinfer.Model, []eval.Chunk, error) {
	text, err := from.read(cmd, nil, false)
	if err != nil {
		return nil, nil, err
	}
	m, err := openNamed(cmd, model, opts)
	if err != nil {
		return nil, nil, err
	}
	chunks, err := eval.Chunks(m.Tokenizer(), text, opts.Context)
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return m, chunks, nil
}

// openNamed opens the model that is meant by MODEL.
func openNamed(cmd *cobra.Command, model string, o modelOptions) (*goinfer.Model, error) {
	s, err := findOrPull(cmd, model, false)
	if err != nil {
		return nil, err
	}
	if o, err = s.withRope(cmd, o); err != nil {
		return nil, err
	}
	return s.open(cmd, o)
}

// print writes a result as JSON if that was asked for, and otherwise by write.
func (f *perplexityFlags) print(out io.Writer, result any, write func(io.Writer)) error {
	if f.json {
		return writeJSON(out, result)
	}
	t := table(out)
	write(t)
	return t.Flush()
}

func writePerplexity(out io.Writer, r eval.Result) {
	fmt.Fprintf(out, "perplexity\t%.4f ± %.5f\n", r.PPL, r.Error)
	fmt.Fprintf(out, "scored\t%s tokens in %s of %d\n", grouped(int64(r.Tokens)), plural(r.Chunks, "chunk"), r.Size)
	if b := r.BitsPerByte(); !math.IsNaN(b) {
		fmt.Fprintf(out, "compression\t%.3f bits for each byte, %.1f %% of the text\n", b, 100*b/8)
	}
}

func writeComparison(out io.Writer, c eval.Comparison) {
	writePerplexity(out, c.Result)
	fmt.Fprintf(out, "of the base\t%.4f\n", c.BasePPL)
	ratio := math.Exp(c.LogRatio)
	fmt.Fprintf(out, "ratio\t%.6f ± %.6f, its logarithm %.6f ± %.6f\n", ratio, ratio*c.LogRatioError, c.LogRatio, c.LogRatioError)
	fmt.Fprintf(out, "KL divergence\t%.6f ± %.6f, median %.6f, 90%% %.6f, 99%% %.6f, 99.9%% %.6f, most %.6f\n",
		c.KLMean, c.KLError, c.KLMedian, c.KLP90, c.KLP99, c.KLP999, c.KLMax)
	fmt.Fprintf(out, "same top token\t%.3f ± %.3f %%\n", 100*c.Top1, 100*c.Top1Error)
	fmt.Fprintf(out, "Δp\t%+.3f %% in the mean, %.3f %% root mean square\n", 100*c.DPMean, 100*c.DPRMS)
}
