package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
)

// labFlags are the flags of lab.
type labFlags struct {
	model, file, html string
	json              bool
	options           eval.TypesOptions
}

func newLab() *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab [flags] [MODEL]",
		Short: "Compare a model in several types: size, speed, quality",
		Long: `Quantises MODEL in memory to several types, one after another, and prints a table: the size of the
weights, the speed of prompts and of generation, how well each type predicts a text (perplexity), how
far its predictions are from those of MODEL (KL divergence), and how often both find the same token
most probable. Then each type continues the same prompt.

MODEL is best in f16, bf16 or f32: weights that are quantised already lose twice. --html writes a page
with pictures, --json prints everything for programs. Without -f the text is the built-in one:
children's books, stories and facts, which suits the built-in models.` + seeTypes,
		Example: `  goinfer lab
  goinfer lab model-f16.gguf -f wiki.test.raw --html lab.html
  goinfer lab model-f16.gguf --levels q8_0,q4_k_m --chunks 100 -p "The sun"
  goinfer lab Llama-3.2-1B --json`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	o := &f.options
	fs.StringVarP(&f.file, "file", "f", "", "text to predict, from `FILE` (default the built-in one)")
	fs.StringSliceVar(&o.Types, "levels", eval.DefaultTypes, "types to measure, `T,...`, as goinfer quantize takes them")
	fs.StringVar(&f.html, "html", "", "write a page with pictures to `FILE` as well, - meaning standard output, to which nothing else goes then")
	fs.BoolVar(&f.json, "json", false, "print the result as JSON")
	fs.IntVar(&o.Chunks, "chunks", 32, "predict `N` chunks of the text, evenly spread; 0 means all")
	fs.IntVarP(&o.Chunk, "ctx-size", "c", 0, "tokens of a chunk (default 512)")
	fs.StringVarP(&o.Prompt, "prompt", "p", "Once upon a time", "`PROMPT` to continue")
	fs.IntVarP(&o.Answer, "predict", "n", 48, "tokens of its continuation")
	fs.IntVarP(&o.Repetitions, "repetitions", "r", 3, "measurements of each speed")
	fs.IntVarP(&o.Threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	addModel(fs, &f.model)
	return cmd
}

func (f *labFlags) run(cmd *cobra.Command, args []string) error {
	model, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	o := &f.options
	for _, t := range o.Types {
		if err := convert.CheckType(t, false); err != nil {
			return usagef("--levels: %w", err)
		}
	}
	for _, n := range []struct {
		flag         string
		n, least, to int
	}{{"--chunks", o.Chunks, 0, bench.MaxTokens}, {"-c, --ctx-size", o.Chunk, 0, bench.MaxTokens}, {"-n, --predict", o.Answer, 1, bench.MaxTokens},
		{"-r, --repetitions", o.Repetitions, 1, 1000}, {"-t, --threads", o.Threads, 0, goinfer.MaxThreads}} {
		if n.n < n.least || n.n > n.to {
			return usagef("%s: want %d to %d, found %d", n.flag, n.least, n.to, n.n)
		}
	}
	if err := checkReport(cmd, f.html, f.json, inputs{models: []string{model}, files: []string{f.file}}); err != nil {
		return err
	}
	if o.Chunks == 0 {
		o.Chunks = -1
	}
	if o.Text, o.TextName = embedded.Text, "the one that is built in"; f.file != "" {
		if o.Text, err = readText(cmd, f.file, false); err != nil {
			return err
		}
		o.TextName = f.file
	}
	s, err := await(cmd.Context(), func() (*bench.Subject, error) { return benchSource(model) })
	if err != nil {
		return err
	}
	for _, w := range s.Warnings {
		note(cmd, "%s: %s", s.Name, w)
	}
	r, err := f.measure(cmd, s)
	if err != nil {
		return err
	}
	if f.html != "" {
		if err := writePage(cmd, f.html, r.Page(), model, nil); err != nil || f.html == "-" {
			return err
		}
	}
	if f.json {
		return writeJSON(cmd.OutOrStdout(), r)
	}
	return writeLab(cmd.OutOrStdout(), r)
}

// measure runs the comparison and shows its progress.
func (f *labFlags) measure(cmd *cobra.Command, s *bench.Subject) (*eval.TypesReport, error) {
	var bar *progress
	at := ""
	f.options.Step = func(typ, what string, done, total int) {
		if now := typ + ": " + what; now != at {
			bar.end()
			at = now
			bar = startProgress(cmd, now, -1)
		}
		if total > 0 {
			bar.set(done, total)
		}
	}
	defer func() { bar.end() }()
	return eval.CompareTypes(cmd.Context(), s, f.options)
}

// writeLab prints a report.
func writeLab(out io.Writer, r *eval.TypesReport) error {
	fmt.Fprintf(out, "%s, %s, text: %s (%d of %d chunks of %d tokens)\n\n", printable(r.Model), r.CPU, printable(r.Text), r.Chunks, r.Of, r.Chunk)
	t := table(out)
	head, rows := r.Table()
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, cells := range rows {
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if busy := r.Busy(); busy != "" {
		fmt.Fprintf(out, "%s\n", busy)
	}
	fmt.Fprintf(out, "\n%s\n", quoted(r.Prompt))
	t = table(out)
	for i := range r.Rows {
		row := &r.Rows[i]
		verdict := "the same"
		switch {
		case row.Source:
			verdict = ""
		case row.Same < max(len(row.Answer), len(r.Rows[0].Answer)):
			verdict = fmt.Sprintf("the same up to character %d", len([]rune(row.Answer[:row.Same])))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", row.Type, verdict, printable(shorten(strings.ReplaceAll(row.Answer, "\n", " / "), 120)))
	}
	return t.Flush()
}
