package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer/study/explain"
)

// nextFlags are the flags of next.
type nextFlags struct {
	model        string
	text         texts
	top          int
	words        string
	layers, json bool
	opening      opening
	sampling     sampling
	routing      routing
}

// lensTop is how many tokens --layers lists for each layer.
const lensTop = 3

// maxTop bounds -k.
const maxTop = 1000

func newNext() *cobra.Command {
	var f nextFlags
	cmd := &cobra.Command{
		Use:        "next [flags] [MODEL] [PROMPT]",
		Short:      "Show the distribution of the next token",
		SuggestFor: []string{"predict", "probs", "probabilities", "distribution"},
		Long: `Shows the distribution of the token after PROMPT, under the model itself: the most probable tokens
with their probability and its natural logarithm, and the entropy of the distribution.

--words scores given words as continuations, with a space before them, and prints their rank; a word
of several tokens has the product of their probabilities, and the rank of each in its place.
--samplers shows which candidates each sampler of the chain removes, and the probabilities that a
token is then drawn with; flags of the sampler imply it. --layers applies the head of the model to the
output of each layer, which shows in which layer an answer appears (the logit lens).`,
		Example: `  goinfer next "The sun rises in the"
  goinfer next --words east,west,north "The sun rises in the"
  goinfer next --samplers --top-k 5 "Once upon a"
  goinfer next model.gguf --layers "The capital of France is"`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.IntVarP(&f.top, "top", "k", 10, "tokens to show")
	fs.StringVarP(&f.words, "words", "w", "", "score these `WORDS`, separated by commas")
	fs.BoolVar(&f.layers, "layers", false, "show what each layer would predict")
	fs.BoolVar(&f.json, "json", false, "print the result as JSON")
	f.text.add(fs, "PROMPT")
	addModel(fs, &f.model)
	f.text.addEscapes(fs)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	group(fs, samplerHeading, f.sampling.add)
	group(fs, routingHeading, f.routing.add)
	chain := fs.Lookup("samplers")
	chain.Usage = "show what the samplers remove; =`NAMES` sets their order, separated by \";\" (default " + usualOrder + ")"
	chain.NoOptDefVal = "on"
	return cmd
}

func (f *nextFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	q, err := f.question(cmd)
	if err != nil {
		return err
	}
	s, opts, text, err := f.opening.withText(cmd, model, &f.text, argument)
	if err != nil {
		return err
	}
	q.Prompt = text
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	if q.Hook, err = f.routing.hook(m); err != nil {
		return err
	}
	p, err := explain.Predict(cmd.Context(), m, q)
	if err != nil {
		return withHint(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		if err := writeJSON(out, p); err != nil {
			return err
		}
		return out.Flush()
	}
	writePrediction(out, p, q.Sampling != nil)
	return out.Flush()
}

// question is what the flags ask for, but for the prompt.
func (f *nextFlags) question(cmd *cobra.Command) (explain.Question, error) {
	q := explain.Question{Top: f.top, Words: explain.Words(f.words)}
	if f.top < 1 || f.top > maxTop {
		return q, usagef("-k, --top: want 1 to %d, found %d", maxTop, f.top)
	}
	if cmd.Flags().Changed("words") && len(q.Words) == 0 {
		return q, usagef("-w, --words: want words separated by commas, found %q", f.words)
	}
	if f.layers {
		q.Layers = lensTop
	}
	chain := false
	cmd.Flags().Visit(func(fl *pflag.Flag) {
		h := fl.Annotations["heading"]
		chain = chain || len(h) > 0 && h[0] == samplerHeading
	})
	if chain {
		if f.sampling.chain == "on" {
			f.sampling.chain = usualChain
		}
		p, err := f.sampling.params(cmd, f.text.unescape)
		if err != nil {
			return q, err
		}
		q.Sampling = &p
	}
	return q, nil
}

func writePrediction(out io.Writer, p *explain.Prediction, drawn bool) {
	fmt.Fprintf(out, "The next of %s tokens; entropy %.3f nats, as of a choice between %s\n\n", grouped(int64(p.Vocab)), p.Entropy, perplexity(p.Entropy))
	t := table(out)
	head := "rank\ttoken\tprobability\tlog\t"
	if drawn {
		head += "drawn with\t"
	}
	fmt.Fprintln(t, head)
	for i, c := range p.Top {
		fmt.Fprintf(t, "%d\t%s\t%s\t%.3f\t", i+1, quoted(c.Text), probability(c.Prob), c.LogProb)
		if drawn {
			fmt.Fprintf(t, "%s\t", probability(*c.Drawn))
		}
		fmt.Fprintln(t, bar(c.Prob, barWidth))
	}
	t.Flush()
	if len(p.Words) > 0 {
		writeWords(out, p.Words)
	}
	if drawn {
		writeStages(out, p.Stages)
	}
	if len(p.Layers) > 0 {
		writeLens(out, p.Layers)
	}
}

func writeWords(out io.Writer, words []explain.Word) {
	fmt.Fprintln(out)
	t := table(out)
	fmt.Fprintln(t, "word\trank\tprobability\tlog\t")
	for _, w := range words {
		var pieces, ranks []string
		for i, tok := range w.Tokens {
			pieces = append(pieces, quoted(tok.Text))
			ranks = append(ranks, strconv.Itoa(w.Ranks[i]))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\t%s\n", strings.Join(pieces, " "), strings.Join(ranks, ", "), probability(w.Prob), w.LogProb, bar(w.Prob, barWidth))
	}
	t.Flush()
}

func writeStages(out io.Writer, stages []explain.Stage) {
	if len(stages) == 0 {
		fmt.Fprintln(out, "\nNo sampler is on: every token may be drawn, by the model's own probability.")
		return
	}
	fmt.Fprintln(out)
	t := table(out)
	fmt.Fprintln(t, "sampler\tcandidates\tremoves\tthe best of them")
	for _, s := range stages {
		fmt.Fprintf(t, "%s\t%d to %d\t%s\t", s.Name, s.Before, s.After, probability(s.Removed))
		for _, c := range s.Best {
			fmt.Fprintf(t, "%s %s  ", quoted(c.Text), probability(c.Prob))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func writeLens(out io.Writer, layers []explain.LayerPrediction) {
	fmt.Fprintln(out)
	t := table(out)
	fmt.Fprint(t, "after\tentropy")
	for _, s := range layers[0].Ranks {
		fmt.Fprintf(t, "\t%s: rank\tprobability", quoted(s.Text))
	}
	fmt.Fprintln(t, "\tmost probable")
	for _, l := range layers {
		name := "the embedding"
		if l.Layer >= 0 {
			name = fmt.Sprintf("layer %d", l.Layer)
		}
		fmt.Fprintf(t, "%s\t%.3f", name, l.Entropy)
		for _, s := range l.Ranks {
			fmt.Fprintf(t, "\t%d\t%s", s.Rank, probability(s.Prob))
		}
		fmt.Fprint(t, "\t")
		for _, c := range l.Top {
			fmt.Fprintf(t, "%s %s  ", quoted(c.Text), probability(c.Prob))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}
