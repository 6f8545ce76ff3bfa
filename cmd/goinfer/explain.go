package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
)

// explainFlags are the flags of explain.
type explainFlags struct {
	model, out, word string
	text             texts
	parts, draws     int
	json             bool
	opening          opening
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:        "explain [flags] [MODEL] [PROMPT]",
		Short:      "Look into a model while it reads a prompt",
		SuggestFor: []string{"ablate", "attention", "lens", "microscope", "neurons"},
		Long: `Evaluates PROMPT and shows what happens inside the model: what each head attends to, how the residual
stream grows, what each layer would predict (the logit lens), which experts each token is routed to.
Then it ablates parts of the model, one at a time, and watches the probability of a word: attention
and feed-forward blocks, heads, experts, neurons, and random fractions of all neurons and of all
weights. Is there one neuron that knows the answer?

Without --html it prints a summary, with it one page of HTML that needs no network. The word is
--word, or the most probable token. An ablated part gives zeros in place of its values. --parts
bounds how many parts of a large model are ablated; the summary lists what was left out.`,
		Example: `  goinfer explain --html page.html "The capital of France is"
  goinfer explain tiny-moe --word east "The sun rises in the"
  goinfer explain model.gguf --word Paris --parts 2000 \
    --html page.html "The capital of France is"`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.out, "html", "o", "", "write the page to `FILE`, - meaning standard output")
	fs.StringVar(&f.out, "out", "", "") // its name before
	hide(fs, "out")
	fs.StringVarP(&f.word, "word", "w", "", "watch the probability of this `WORD` (default the most probable token)")
	fs.IntVar(&f.parts, "parts", 0, fmt.Sprintf("ablate about N parts, but all blocks and ten neurons of each layer in any case (default by\nthe size of the model, %d to %d)", explain.LeastParts, explain.MostParts))
	fs.IntVar(&f.draws, "draws", 50, "ablate each random fraction N times, of the weights at most 3; 0 leaves fractions out")
	fs.BoolVar(&f.json, "json", false, "print the result as JSON")
	f.text.add(fs, "PROMPT")
	addModel(fs, &f.model)
	f.text.addEscapes(fs)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	return cmd
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	switch {
	case f.parts < 0:
		return usagef("--parts: want at least 0, found %d", f.parts)
	case f.draws < 0:
		return usagef("--draws: want at least 0, found %d", f.draws)
	case f.json && f.out != "":
		return usagef("--json and -o: want one of them")
	}
	if err := checkPage(cmd, "-o", f.out, inputs{models: []string{model}, files: f.text.inputs()}); err != nil {
		return err
	}
	s, opts, prompt, err := f.opening.withText(cmd, model, &f.text, argument)
	if err != nil {
		return err
	}
	if opts.typ != "" { // for the model and for the copies of its file alike
		if s, err = s.as(cmd, opts); err != nil {
			return err
		}
		opts.typ = ""
	}
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	file, err := s.toConvert(cmd)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := f.analyse(cmd, m, explain.Options{Prompt: prompt, Word: f.word, Parts: f.parts, Draws: f.draws, File: file, Opening: opts.Options})
	if err != nil {
		return withHint(err)
	}
	if f.out != "" {
		p, err := r.Page(s.Name())
		if err != nil {
			return err
		}
		p.Foot = "Every figure was computed when the page was made."
		return writePage(cmd, f.out, p, model, argument)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		if err := writeJSON(out, r); err != nil {
			return err
		}
		return out.Flush()
	}
	writeReport(out, r)
	return out.Flush()
}

// analyse shows the progress of each step.
func (f *explainFlags) analyse(cmd *cobra.Command, m *goinfer.Model, o explain.Options) (*explain.Report, error) {
	var bar *progress
	step := ""
	defer func() { bar.end() }()
	o.Progress = func(what string, done, total int) {
		if what != step {
			bar.end()
			bar, step = startProgress(cmd, what, total), what
		}
		bar.set(done, total)
	}
	return explain.Analyse(cmd.Context(), m, o)
}

func writeReport(out io.Writer, r *explain.Report) {
	fmt.Fprintf(out, "The word is %s, with a probability of %s.\n", quoted(r.Word.Word), probability(r.Word.Prob))
	fmt.Fprintln(out, printable(r.Verdict()))
	fmt.Fprintln(out, "\nIts probability without one part:")
	t := table(out)
	fmt.Fprintln(t, "\tpart\tprobability\tΔ log")
	list := func(what string, effects []explain.Effect, n int) {
		for _, e := range explain.TopEffects(effects, n) {
			fmt.Fprintf(t, "%s\t%s\t%s\t%+.3f\n", what, e.Part, probability(e.Prob), e.Delta)
			what = ""
		}
	}
	list("blocks", r.Blocks, 4)
	list("heads", r.Heads, 4)
	list("experts", r.Experts, 4)
	var neurons []explain.Effect
	for _, n := range r.Neurons.Top {
		neurons = append(neurons, n.Effect)
	}
	list("neurons", neurons, 6)
	t.Flush()
	writeCurves(out, r)
	for _, c := range r.Cut {
		fmt.Fprintln(out, c)
	}
}

// writeCurves prints the ablation of many neurons and weights.
func writeCurves(out io.Writer, r *explain.Report) {
	fractions := func(title string, points []explain.Point) {
		if len(points) == 0 {
			return
		}
		fmt.Fprintf(out, "\n%s, median and range of %s:\n", title, plural(len(points[0].Draws), "draw"))
		t := table(out)
		for _, p := range points {
			fmt.Fprintf(t, "%g %%\t%s\t%s to %s\t%s\n", 100*p.Fraction, probability(p.Median), probability(slices.Min(p.Draws)), probability(slices.Max(p.Draws)), bar(p.Median, barWidth))
		}
		t.Flush()
	}
	fractions("Without a random fraction of all neurons", r.Random)
	fractions("With a random fraction of all weights at zero", r.Weights)
	if len(r.Neurons.Together) == 0 {
		return
	}
	fmt.Fprintln(out, "\nWithout the neurons that speak most for it, together:")
	t := table(out)
	for _, c := range r.Neurons.Together {
		fmt.Fprintf(t, "%d\t%s\t%s\n", c.Count, probability(c.Prob), bar(c.Prob, barWidth))
	}
	t.Flush()
}
