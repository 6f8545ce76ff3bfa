package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	faults "github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/claims"
	"github.com/goinfer/goinfer/study/probe"
)

// claimsFlags are the flags of claims.
type claimsFlags struct {
	html, model, reported, training string
	only                            numbers
	quick, json, verbose, rows      bool
	threads                         int
}

func newClaims() *cobra.Command {
	var f claimsFlags
	cmd := &cobra.Command{
		Use:   "claims [flags]",
		Short: "Check what articles report about models on this machine",
		Long: `Works through seventeen claims about language models on this machine: what is reported, what was
found, by measuring or by computing from published shapes, with its error, and whether it holds.
Models are those that are built in, and ones of known shapes with random weights, in memory. It takes
some minutes; --quick takes under one. --only 6 works through one claim.

Speeds are judged on an idle machine alone: where other programs take more than a tenth of the
processor time or of the memory's bandwidth, the report says so in place of a verdict.

--model has a trained model of your own examined in place of the built-in one; --said takes your own
article as JSON, a list of statements with figures:

  {"title": "My article", "statements": [
    {"text": "7B means seven billion.", "row": "parameters/llama-2-7b",
     "figure": 7},
    {"text": "Four bits shrink it by three.", "row": "shrinks/q4_0",
     "at_least": 3}]}

A statement has one of figure, count, linear, at_least and at_most; --rows lists the rows.
The report is Markdown; --html writes a page with a question before each answer as well.`,
		Example: `  goinfer claims --quick
  goinfer claims --only 6 --verbose
  goinfer claims --model model-f16.gguf --only 4,13
  goinfer claims --said article.json --html report.html`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.html, "html", "", "write a page with pictures to `FILE` as well, - meaning standard output, to which nothing else goes then")
	fs.BoolVar(&f.quick, "quick", false, "smaller models, and fewer: under a minute")
	fs.Var(&f.only, "only", "work through these claims, `N,...`")
	fs.StringVarP(&f.model, "model", "m", "", "examine `MODEL`, a file or a built-in model, in place of the built-in one of its kind")
	fs.StringVar(&f.reported, "said", "", "judge the statements in `FILE` of JSON in place of the article's, - meaning standard input")
	fs.StringVar(&f.training, "training", "", "the text that the model was trained on, in `FILE`: what it writes is looked for in it")
	fs.BoolVar(&f.verbose, "verbose", false, "say of each row how its figure came about")
	fs.BoolVar(&f.rows, "rows", false, "list the rows that statements can be about")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	fs.IntVarP(&f.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	return cmd
}

func (f *claimsFlags) run(cmd *cobra.Command) error {
	if f.rows {
		return writeRows(cmd.OutOrStdout())
	}
	if f.threads < 0 || f.threads > goinfer.MaxThreads {
		return usagef("-t, --threads: want 0 to %d, found %d", goinfer.MaxThreads, f.threads)
	}
	for _, n := range f.only.values {
		if n < 1 || n > claims.Count {
			return usagef("--only: want claims from 1 to %d, found %d", claims.Count, n)
		}
	}
	if err := checkReport(cmd, f.html, f.json, inputs{models: []string{f.model}, files: []string{f.reported, f.training}}); err != nil {
		return err
	}
	if f.threads == 0 {
		info, err := probe.Machine()
		if err != nil {
			return err
		}
		f.threads = info.Threads
	}
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	var bar *progress
	o.Step = func(claim int, what string) {
		bar.end()
		bar = startProgress(cmd, fmt.Sprintf("claim %d: %s", claim, what), -1)
		bar.set(claim-1, claims.Count)
	}
	r, err := claims.Run(cmd.Context(), o)
	bar.end()
	if err != nil {
		return err
	}
	if len(r.Claims) == 0 {
		return usagef("none of the claims of --only has a statement in %s", f.reported)
	}
	if f.html != "" {
		p, err := r.Page()
		if err != nil {
			return err
		}
		if err := writeFile(cmd, f.html, p.Render); err != nil || f.html == "-" {
			return err
		}
	}
	if f.json {
		return writeJSON(cmd.OutOrStdout(), r)
	}
	return r.Markdown(cmd.OutOrStdout(), f.verbose)
}

// options finds the models and the texts.
func (f *claimsFlags) options(cmd *cobra.Command) (o claims.Options, err error) {
	const dense, moe = "tiny-dense", "tiny-moe"
	o = claims.Options{DenseName: dense, MoEName: moe, Text: embedded.Text, Threads: f.threads, Quick: f.quick, Only: f.only.values}
	if o.Dense, err = benchSource(dense); err != nil {
		return o, err
	}
	if o.MoE, err = benchSource(moe); err != nil {
		return o, err
	}
	if f.model != "" {
		s, err := await(cmd.Context(), func() (*bench.Subject, error) { return benchSource(f.model) })
		if err != nil {
			return o, err
		}
		for _, w := range s.Warnings {
			note(cmd, "%s: %s", s.Name, w)
		}
		o.Flags = append(o.Flags, "--model "+shellWord(f.model))
		if s.Experts > 0 {
			o.MoE, o.MoEName = s, f.model
		} else {
			o.Dense, o.DenseName = s, f.model
		}
	}
	if f.training != "" {
		if o.Training, err = readText(cmd, f.training, false); err != nil {
			return o, err
		}
		o.Flags = append(o.Flags, "--training "+shellWord(f.training))
	}
	if f.reported == "" {
		return o, nil
	}
	in, name := cmd.InOrStdin(), "standard input"
	if f.reported != "-" {
		file, err := os.Open(f.reported)
		if err != nil {
			return o, faults.System(err)
		}
		defer file.Close()
		in, name = file, f.reported
	}
	o.Flags = append(o.Flags, "--said "+shellWord(f.reported))
	o.Title, o.Reported, err = claims.ReadReported(in, name)
	o.Title = cmp.Or(o.Title, name)
	return o, err
}

// writeRows lists the rows that statements can be about.
func writeRows(out io.Writer) error {
	rows := claims.Reading()
	t := table(out)
	fmt.Fprintln(t, "row\tarticle or our threshold\tstatements")
	for _, key := range rows.Keys() {
		row := rows[key]
		fmt.Fprintf(t, "%s\t%s\t%s\n", key, row.Wants(), joinNumbers(slices.Clone(row.Statements)))
	}
	return t.Flush()
}
