package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/probe"
)

// runFlags are the flags of run.
type runFlags struct {
	model              string
	text               texts
	predict            int
	stop               []string
	ignoreEOS, special bool
	verbose, json      bool
	top                int // alternatives to each token, with json
	opening            opening
	sampling           sampling
	constraint         constraintFlags
	routing            routing
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:        "run [flags] [MODEL] [PROMPT]",
		Short:      "Continue a text",
		SuggestFor: []string{"generate", "complete"},
		Long: `Continues PROMPT and writes what follows it, as it is made, to standard output.

A single argument is MODEL if there is a model of that name, or if it has the look of a path: it
ends in .gguf or .safetensors, or holds a path separator and no white space. Otherwise it is
PROMPT, unless it is a word that could be a name: that wants -p. The prompt comes from the
argument, from -p, from -f FILE or from standard input, which is read only if no other is given; one line break at the end of a file or of standard input is left out. Special tokens
that are spelled in it, such as </s>, are recognised.

Generation ends at an end-of-generation token of the model, at a stop string, after -n tokens,
or when the context is full, which a note reports. Ctrl-C ends it too.

--json prints one JSON object on a line for each event: "begin" with the ids of the prompt, "token"
with id, text and log-probability, and "end" with the reason and the times.`,
		Example: `  goinfer run "The sun rises in the"
  goinfer run tiny-moe --temp 0 "Once upon a time"
  goinfer run model.gguf -n 100 -f story.txt
  goinfer run model.gguf --stop . -s 42 -v "The capital of France is"
  goinfer run model.gguf --json-schema-file s.json "A person, as JSON: "
  goinfer run --json -n 3 "The sun rises in the" | jq -r .text
  echo "Once upon a time" | goinfer run`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.IntVarP(&f.predict, "predict", "n", -1, "tokens to generate; -1 means no limit")
	f.text.add(fs, "PROMPT")
	addModel(fs, &f.model)
	fs.StringArrayVarP(&f.stop, "stop", "r", nil, "end at this `STRING`, which is not written; may be repeated")
	fs.BoolVar(&f.ignoreEOS, "ignore-eos", false, "go on past end-of-generation tokens")
	fs.BoolVar(&f.special, "special", false, "write special tokens as they are spelled")
	f.text.addEscapes(fs, "stop strings")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "print times, counts, the seed and the kernels")
	fs.BoolVar(&f.json, "json", false, "print events as lines of JSON: tokens, text, log-probabilities, why it ended, times")
	fs.IntVar(&f.top, "top-logprobs", 0, "with --json, add the N most probable tokens to each")
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	group(fs, samplerHeading, f.sampling.add)
	group(fs, constraintHeading, f.constraint.add)
	group(fs, routingHeading, f.routing.add)
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	q, err := f.request(cmd)
	if err != nil {
		return err
	}
	s, opts, text, err := f.opening.withText(cmd, model, &f.text, argument)
	if err != nil {
		return err
	}
	q.Prompt = text
	began := time.Now()
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	if s.Path() != "" && m.Info().ChatTemplate != "" && isTerminal(cmd.ErrOrStderr()) {
		note(cmd, "the model has a chat template: goinfer chat talks with it")
	}
	if q.Hook, err = f.routing.hook(m); err != nil {
		return err
	}
	if q.Sampling.Grammar, err = f.constraint.grammar(cmd, m.Tokenizer()); err != nil {
		return err
	}
	took := time.Since(began)
	if f.verbose {
		f.describe(cmd, s, m, q, took)
	}
	var events *eventWriter
	if f.json {
		if events, err = newEventWriter(cmd.OutOrStdout(), s.Name(), m, q, took); err != nil {
			return err
		}
	}
	if f.predict == 0 {
		return f.evaluate(cmd, m, q, events)
	}
	return f.generate(cmd, m, q, events)
}

// evaluate computes the prompt and nothing after it. events is nil where none are asked for.
func (f *runFlags) evaluate(cmd *cobra.Command, m *goinfer.Model, q goinfer.Request, events *eventWriter) error {
	bar := startProgress(cmd, "reading the prompt", -1)
	defer bar.end()
	began := time.Now()
	used := goinfer.Usage{Cached: -1}
	err := m.Score(cmd.Context(), goinfer.Request{
		Prompt: q.Prompt, Tokens: q.Tokens, NoSpecial: q.NoSpecial, Hook: q.Hook,
		Progress: func(done, total int) {
			if used.Prompt = total; used.Cached < 0 {
				used.Cached = done
			}
			bar.set(done, total)
		},
	})
	if err != nil {
		return withHint(err)
	}
	bar.end()
	used.PromptTime = time.Since(began)
	last := goinfer.Piece{Kind: goinfer.KindStop, ID: -1, Stop: goinfer.StopLength, Usage: used}
	if f.verbose {
		printUsed(cmd.ErrOrStderr(), m, last)
	}
	if events != nil {
		return events.write(last)
	}
	return nil
}

// maxTopLogprobs is the most that the library gives (engine.MaxTop).
const maxTopLogprobs = 64

// request is what the flags ask for, but for the prompt.
func (f *runFlags) request(cmd *cobra.Command) (goinfer.Request, error) {
	q := goinfer.Request{Stop: f.stop, IgnoreEOG: f.ignoreEOS, Special: f.special, LogProb: f.json, Top: f.top}
	switch {
	case f.top != 0 && !f.json:
		return q, usagef("--top-logprobs wants --json")
	case f.top < 0 || f.top > maxTopLogprobs:
		return q, usagef("--top-logprobs: want 0 to %d, found %d", maxTopLogprobs, f.top)
	}
	if f.predict > 0 {
		q.MaxTokens = f.predict
	}
	for i, s := range q.Stop {
		var err error
		if q.Stop[i], err = f.text.unescape(s); err != nil {
			return q, err
		}
		if q.Stop[i] == "" {
			return q, usagef("--stop: a stop string is empty")
		}
	}
	var err error
	q.Sampling, err = f.sampling.params(cmd, f.text.unescape)
	return q, err
}

// generate writes the pieces as they come, as events if those are not nil.
func (f *runFlags) generate(cmd *cobra.Command, m *goinfer.Model, q goinfer.Request, events *eventWriter) error {
	out, ctx := cmd.OutOrStdout(), cmd.Context()
	bar := startProgress(cmd, "reading the prompt", -1)
	defer bar.end()
	q.Progress = bar.set
	text := &plainText{out: out}
	write := out.Write
	if isTerminal(out) {
		write = text.Write
	}
	var last goinfer.Piece
	newline := true // the text ends a line, or there is none
	for piece, err := range m.Generate(ctx, q) {
		if err != nil {
			return withHint(err)
		}
		bar.end()
		last = piece
		if events != nil {
			if err := events.write(piece); err != nil {
				return err
			}
		} else if n := len(piece.Bytes); n > 0 {
			newline = piece.Bytes[n-1] == '\n'
			if _, err := write(piece.Bytes); err != nil {
				return err
			}
		}
	}
	if err := text.end(); err != nil {
		return err
	}
	return f.conclude(cmd, m, last, newline)
}

// conclude prints what there is to say after a text whose last piece is given. newline reports
// whether the text ends a line.
func (f *runFlags) conclude(cmd *cobra.Command, m *goinfer.Model, last goinfer.Piece, newline bool) error {
	out := cmd.OutOrStdout()
	u, talks := last.Usage, f.verbose || last.Stop == goinfer.StopContext
	switch {
	case newline:
	case isTerminal(out):
		// So that the shell's prompt begins a line.
		if _, err := io.WriteString(out, "\n"); err != nil {
			return err
		}
	case talks && sameFile(out, cmd.ErrOrStderr()):
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	if last.Stop == goinfer.StopContext {
		note(cmd, "the context is full: %d tokens of the prompt and %d generated; -c makes it larger", u.Prompt, u.Generated)
	}
	if f.verbose {
		printUsed(cmd.ErrOrStderr(), m, last)
	}
	if last.Stop == goinfer.StopCancelled {
		return context.Cause(cmd.Context())
	}
	return nil
}

// withHint adds to an error what can be done about it.
func withHint(err error) error {
	if errors.Is(err, goinfer.ErrContextFull) {
		return fmt.Errorf("%w; -c makes it larger", err)
	}
	return err
}

// describe prints what is about to run.
func (f *runFlags) describe(cmd *cobra.Command, s modelSource, m *goinfer.Model, q goinfer.Request, took time.Duration) {
	machine, err := probe.Machine()
	kernels := machine.ISA
	switch {
	case f.opening.exact:
		kernels = "go, in float32 (--exact)"
	case err != nil:
		kernels = err.Error()
	}
	if len(machine.Features) > 0 {
		kernels += "; the processor has " + strings.Join(machine.Features, " ")
	}
	threads := fmt.Sprintf("%d (%s)", machine.Threads, machine.ThreadsWhy)
	if f.opening.threads > 0 {
		threads = fmt.Sprintf("%d (-t)", f.opening.threads)
	}
	need := m.Info().Memory
	out := cmd.ErrOrStderr()
	printFact(out, "model", "%s, loaded in %s", printable(s.String()), seconds(took))
	printFact(out, "memory", "weights %s, cache %s when full (%s keys, %s values), scratch %s",
		goinfer.Bytes(need.Weights), goinfer.Bytes(need.Cache), &f.opening.k, &f.opening.v, goinfer.Bytes(need.Scratch))
	printFact(out, "kernels", "%s", kernels)
	printFact(out, "threads", "%s", threads)
	printFact(out, "seed", "%s", f.sampling.describe(q.Sampling))
	if q.Hook != nil {
		printFact(out, "experts", "%s", f.routing.what())
	}
}

func printFact(out io.Writer, name, format string, args ...any) {
	fmt.Fprintf(out, "%-11s %s\n", name, fmt.Sprintf(format, args...))
}

// printUsed prints what a generation took and why it ended.
func printUsed(out io.Writer, m *goinfer.Model, last goinfer.Piece) {
	why := string(last.Stop)
	switch last.Stop {
	case goinfer.StopEOG:
		why = "end of generation"
		if v := m.Tokenizer(); v != nil {
			why += ", " + printable(v.Spelling(last.ID))
		}
	case goinfer.StopString:
		why = "a stop string"
	case goinfer.StopLength:
		why = "-n is reached"
	case goinfer.StopContext:
		why = "the context is full"
	case goinfer.StopCancelled:
		why = "interrupted"
	}
	u := last.Usage
	passes := generationPasses(last)
	printFact(out, "prompt", "%s", rate(u.Prompt, u.Prompt-u.Cached, u.PromptTime))
	printFact(out, "generation", "%s", rate(u.Generated, passes, u.GenerateTime))
	printFact(out, "ended", "%s", why)
}

// generationPasses is how many passes a generation took after its prompt. The first token comes of
// the prompt, and what ended the text took a pass of its own unless it was a limit or a string.
func generationPasses(last goinfer.Piece) int {
	if last.Stop == goinfer.StopEOG {
		return last.Usage.Generated
	}
	return max(0, last.Usage.Generated-1)
}

// rate is a text that says how fast n tokens were, of which so many were computed in that time.
func rate(n, computed int, took time.Duration) string {
	text := fmt.Sprintf("%s in %s", plural(n, "token"), seconds(took))
	if computed > 0 && took > 0 {
		text += fmt.Sprintf(", %.2f tokens/s", float64(computed)/took.Seconds())
	}
	return text
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
