package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
)

// whatIfFlags are the flags of experts whatif.
type whatIfFlags struct {
	expertsFlags
	predict int
	json    bool
}

func newExpertsWhatIf() *cobra.Command {
	var f whatIfFlags
	cmd := &cobra.Command{
		Use:   "whatif [flags] [MODEL] [PROMPT]",
		Short: "Continue a text with other experts, and compare",
		Long: `Continues PROMPT twice, with the experts that the routers choose and with the override that the flags
of the router ask for, the most probable token each time. Then it compares the predictions along the
first text, for each of its tokens: the Kullback–Leibler divergence of the distributions of the next
token in nats, the probability of the token in both, and the most probable token with the override.`,
		Example: `  goinfer experts whatif --experts-top-k 1 "Once upon a time"
  goinfer experts whatif --experts-ban 3,5 --experts-layers 2-3 "The sun is"`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.IntVarP(&f.predict, "predict", "n", 24, "tokens to generate")
	fs.BoolVar(&f.json, "json", false, "print the comparison as JSON")
	f.add(cmd, "PROMPT", 4096)
	f.addRouting(cmd)
	return cmd
}

func (f *whatIfFlags) run(cmd *cobra.Command, args []string) error {
	if f.predict < 1 {
		return usagef("-n, --predict: want at least 1, found %d", f.predict)
	}
	if f.routing.what().IsZero() {
		return usagef("want an override, such as --experts-top-k 1 or --experts-ban 3,5")
	}
	s, err := f.open(cmd, args, f.predict)
	if err != nil {
		return err
	}
	defer s.m.Close()
	c, err := explain.CompareRouters(cmd.Context(), s.m, s.tokens, s.hook, explain.RouterComparisonOptions{Generate: f.predict})
	if err != nil {
		return withHint(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		if err := writeJSON(out, c); err != nil {
			return err
		}
		return out.Flush()
	}
	writeWhatIf(out, s, c)
	return out.Flush()
}

func writeWhatIf(out io.Writer, s *subject, c *explain.RouterComparison) {
	fmt.Fprintf(out, "as trained  %s\n", quoted(c.Own.Text()))
	fmt.Fprintf(out, "overridden  %s\n            (%s)\n\n", quoted(c.Other.Text()), s.override)
	t := table(out)
	fmt.Fprintln(t, "\tas trained\toverridden")
	fmt.Fprintf(t, "bytes of weights per token\t%s\t%s\n", sizeOrNone(c.Own.BytesPerToken), sizeOrNone(c.Other.BytesPerToken))
	fmt.Fprintf(t, "tokens generated\t%d\t%d\n", len(c.Own.Tokens), len(c.Other.Tokens))
	t.Flush()
	if len(c.Steps) == 0 {
		fmt.Fprintln(out, "\nThe model ends the text at once.")
		return
	}
	fmt.Fprintln(out)
	t = table(out)
	fmt.Fprintln(t, "token\tprobability\toverridden\tKL\tmost probable if overridden")
	var sum, most float64
	same := 0
	for _, step := range c.Steps {
		mark := ""
		if step.Other.ID == step.Token.ID {
			same++
		} else {
			mark = quoted(step.Other.Text)
		}
		sum, most = sum+step.KL, max(most, step.KL)
		fmt.Fprintf(t, "%s\t%s\t%s\t%.4f\t%s\n", quoted(step.Token.Text), probability(step.Prob), probability(step.Under), step.KL, mark)
	}
	t.Flush()
	fmt.Fprintf(out, "\nKL %.4f in the mean, %.4f at most; the same token most probable at %d of %s\n", sum/float64(len(c.Steps)), most, same, plural(len(c.Steps), "place"))
}

// sizeOrNone is a size, or a dash for none.
func sizeOrNone(n int64) string {
	if n == 0 {
		return "–"
	}
	return goinfer.Bytes(n)
}

// costFlags are the flags of experts cost.
type costFlags struct {
	expertsFlags
	numbers numbers
	predict int
	runs    int
	json    bool
}

func newExpertsCost() *cobra.Command {
	var f costFlags
	cmd := &cobra.Command{
		Use:   "cost [flags] [MODEL] [TEXT]",
		Short: "Measure speed and quality by the number of experts per token",
		Long: `Lets each token use 1, 2, 4 … experts of each layer, and measures for each number: the bytes of
weights that a token reads, the tokens generated per second (the fastest of some runs), the perplexity
of TEXT, and the Kullback–Leibler divergence in nats from the model with its own number of experts.`,
		Example: `  goinfer experts cost "Once upon a time there was a little girl named Lily."
  goinfer experts cost mixtral.gguf -k 1,2,3,4 -f text.txt --html page.html`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.VarP(&f.numbers, "experts", "k", "numbers of experts to try (default 1,2,4 and so on to all)")
	fs.IntVarP(&f.predict, "predict", "n", 64, "tokens to generate in each run")
	fs.IntVarP(&f.runs, "repetitions", "r", 3, "runs of each number")
	fs.BoolVar(&f.json, "json", false, "print the figures as JSON")
	fs.StringVar(&f.html, "html", "", "write them as a page to `FILE`, - meaning standard output")
	f.add(cmd, "TEXT", 256)
	return cmd
}

func (f *costFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.json && f.html != "":
		return usagef("want one of --json and --html")
	case f.predict < 2:
		return usagef("-n, --predict: want at least 2, found %d", f.predict)
	case f.runs < 1:
		return usagef("-r, --repetitions: want at least 1, found %d", f.runs)
	}
	s, err := f.open(cmd, args, 0)
	if err != nil {
		return err
	}
	defer s.m.Close()
	for _, k := range f.numbers.values {
		if k < 1 || k > s.moe.Experts {
			return usagef("-k, --experts: want 1 to %d, found %d", s.moe.Experts, k)
		}
	}
	bar := startProgress(cmd, "measuring", -1)
	defer bar.end()
	costs, err := explain.MeasureExpertCost(cmd.Context(), s.m, s.tokens, explain.ExpertCostOptions{Experts: f.numbers.values, Generate: f.predict, Runs: f.runs, Progress: bar.set})
	bar.end()
	if err != nil {
		return withHint(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	switch {
	case f.html != "":
		return writePage(cmd, f.html, explain.ExpertCostPage(s.name, &s.moe, costs), s.name, s.argument)
	case f.json:
		if err := writeJSON(out, costs); err != nil {
			return err
		}
		return out.Flush()
	}
	t := table(out)
	fmt.Fprintln(t, "experts\tbytes per token\ttokens/s\tKL\tperplexity\t")
	for _, p := range costs {
		mark := ""
		if p.Experts == s.moe.Used {
			mark = "the model's own number"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%.4f\t%s\t%s\n", p.Experts, goinfer.Bytes(p.BytesPerToken), page.Number(p.Speed), p.KL, page.Number(p.Perplexity), mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return out.Flush()
}
