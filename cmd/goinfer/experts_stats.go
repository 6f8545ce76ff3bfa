package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer/study/explain"
)

// statsFlags are the flags of experts stats.
type statsFlags struct {
	expertsFlags
	json bool
}

func newExpertsStats() *cobra.Command {
	var f statsFlags
	cmd := &cobra.Command{
		Use:   "stats [flags] [MODEL] -f FILE",
		Short: "Measure load, balance and specialisation over a text",
		Long: `Evaluates a text in chunks of 512 tokens (-c) and prints for each layer how evenly the experts are
loaded, which are idle, how undecided the router is, and how much the kind of a token (word, number,
punctuation …) reveals of the experts that are chosen for it; then which experts are chosen together
and which are specialists.`,
		Example: `  goinfer experts stats -f builtin:valid.txt
  goinfer experts stats mixtral.gguf -f wiki.test.raw --html page.html`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.json, "json", false, "print the statistics as JSON")
	fs.StringVar(&f.html, "html", "", "write them as a page to `FILE`, - meaning standard output")
	f.add(cmd, "TEXT", 0)
	fs.IntVar(&f.most, "max-tokens", 0, "evaluate only the first `N` tokens of a longer text (default all)")
	f.addRouting(cmd)
	fs.Lookup("ctx-size").Usage = "tokens of a chunk (default 512)"
	return cmd
}

func (f *statsFlags) run(cmd *cobra.Command, args []string) error {
	if f.json && f.html != "" {
		return usagef("want one of --json and --html")
	}
	s, err := f.open(cmd, args, 0)
	if err != nil {
		return err
	}
	defer s.m.Close()
	bar := startProgress(cmd, "tokens", len(s.tokens))
	defer bar.end()
	stats, err := explain.MeasureRouters(cmd.Context(), s.m, s.tokens, explain.RouterStatsOptions{Chunk: f.opening.context, Hook: s.hook, Progress: bar.set})
	bar.end()
	if err != nil {
		return err
	}
	if f.html != "" {
		return writePage(cmd, f.html, stats.Page(s.name, s.override), s.name, s.argument)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		if err := writeJSON(out, stats); err != nil {
			return err
		}
		return out.Flush()
	}
	writeOverride(out, s.override)
	writeStats(out, stats)
	return out.Flush()
}

// listed bounds the lists of pairs and specialists.
const listed = 8

func writeStats(out io.Writer, s *explain.RouterStats) {
	fmt.Fprintf(out, "%s, in %s with experts; each chooses %d of %d for a token\n\n", plural(s.Tokens, "token"), plural(len(s.Layers), "layer"), s.MoE.Used, s.MoE.Experts)
	t := table(out)
	fmt.Fprintln(t, "layer\tbalance\tbusiest\tentropy\tby kind\tidle\tload of each expert")
	for _, l := range s.Layers {
		fmt.Fprintf(t, "%d\t%.3f\t%.2f×\t%.3f\t%.4f\t%d\t%s\n", l.Layer, l.Balance, l.MaxLoad, l.Entropy, l.Specialised, len(l.Idle), loads(l.Load))
	}
	t.Flush()
	fmt.Fprintf(out, "\nbalance       1 where all experts of a layer are chosen equally often\n"+
		"busiest       the load of the busiest expert over an equal share of %.1f %%\n"+
		"entropy       of the router in nats, the mean over tokens\n"+
		"by kind       how much the kind of a token reveals of the experts chosen for it, in nats\n", 100/float64(s.MoE.Experts))
	for _, l := range s.Layers {
		if len(l.Idle) > 0 {
			fmt.Fprintf(out, "\nidle in layer %d: %s\n", l.Layer, joinNumbers(l.Idle))
		}
	}
	fmt.Fprintln(out, "\nkinds of tokens")
	t = table(out)
	for _, k := range s.Kinds {
		fmt.Fprintf(t, "  %s\t%d\n", k.Kind, k.Tokens)
	}
	t.Flush()
	if list := s.Specialists(listed); len(list) > 0 {
		fmt.Fprintln(out, "\nspecialists")
		t = table(out)
		for _, x := range list {
			fmt.Fprintf(t, "  layer %d, expert %d\t%s\t%.2f× as often as for any token\t%.0f %% of its work\n", x.Layer, x.Expert, x.Kind, x.Lift, 100*x.Share)
		}
		t.Flush()
	}
	if list := s.Pairs(listed); len(list) > 0 {
		fmt.Fprintln(out, "\nchosen together")
		t = table(out)
		for _, x := range list {
			fmt.Fprintf(t, "  layer %d, experts %d and %d\t%.2f× as often as by chance\t%s\n", x.Layer, x.A, x.B, x.Lift, plural(x.Tokens, "token"))
		}
		t.Flush()
	}
}

// loads draws shares side by side, the largest as a full block and none as a dot.
func loads(shares []float64) string {
	most := slices.Max(shares)
	var b strings.Builder
	for _, v := range shares {
		if v == 0 {
			b.WriteRune('·')
			continue
		}
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(8*v/most))])
	}
	return b.String()
}

func joinNumbers(n []int) string {
	list := numbers{values: n}
	return strings.ReplaceAll(list.String(), ",", ", ")
}
