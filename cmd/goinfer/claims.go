package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/bench"
	"github.com/goinfer/goinfer/claims"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/probe"
)

// claimsFlags are the flags of claims.
type claimsFlags struct {
	html        string
	quick, json bool
	threads     int
}

func newClaims() *cobra.Command {
	var f claimsFlags
	cmd := &cobra.Command{
		Use:   "claims [flags]",
		Short: "Measure what articles say about parameters, memory, speed and experts",
		Long: `Works through thirteen claims about language models on this machine: what is said, what theory
predicts, what was measured, and whether it holds. Models are those that are built in, and ones of
known shapes with random weights, in memory. It takes some minutes; --quick takes under one.

The report is Markdown; --html writes a page with pictures as well.`,
		Example: `  goinfer claims --quick
  goinfer claims --html report.html >report.md`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("want no arguments, found %q", args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.html, "html", "", "write a page with pictures to `FILE` as well, - meaning standard output, to which nothing else goes then")
	fs.BoolVar(&f.quick, "quick", false, "smaller models, and fewer: under a minute")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	fs.IntVarP(&f.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	return cmd
}

func (f *claimsFlags) run(cmd *cobra.Command) error {
	if f.threads < 0 || f.threads > goinfer.MaxThreads {
		return usagef("-t, --threads: want 0 to %d, found %d", goinfer.MaxThreads, f.threads)
	}
	if err := checkReport(cmd, f.html, f.json, inputs{}); err != nil {
		return err
	}
	if f.threads == 0 {
		info, err := probe.Machine()
		if err != nil {
			return err
		}
		f.threads = info.Threads
	}
	const dense, moe = "tiny-dense", "tiny-moe"
	o := claims.Options{Said: claims.Article(), DenseName: dense, MoEName: moe, Text: embedded.Text, Threads: f.threads, Quick: f.quick}
	var err error
	if o.Dense, err = bench.Bytes(dense, embedded.Model(dense)); err != nil {
		return err
	}
	if o.MoE, err = bench.Bytes(moe, embedded.Model(moe)); err != nil {
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
	if f.html != "" {
		if err := writeFile(cmd, f.html, r.Page().Render); err != nil || f.html == "-" {
			return err
		}
	}
	if f.json {
		return writeJSON(cmd.OutOrStdout(), r)
	}
	return r.Markdown(cmd.OutOrStdout())
}
