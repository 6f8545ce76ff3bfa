package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
)

// defaultMoE is MODEL for the commands about experts where it is left out.
const defaultMoE = "tiny-moe"

func newExperts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "experts COMMAND",
		Short: "Show which experts a model chooses, or override the choice",
		Long: `Shows the routers of a mixture-of-experts model at work: which experts of each layer are chosen for
each token of a text, with which weights, how evenly, and for which kinds of tokens; and what changes
if other experts are chosen. Without MODEL the model is ` + defaultMoE + `.`,
		Example: `  goinfer experts heatmap --html page.html "Once upon a time"
  goinfer experts whatif --experts-top-k 1 "Once upon a time"`,
		SuggestFor: []string{"moe", "router", "routing"},
		Args:       cobra.ArbitraryArgs,
		RunE:       runRoot,
	}
	cmd.AddCommand(newExpertsTrace(), newExpertsHeatmap(), newExpertsStats(), newExpertsWhatIf(), newExpertsCost())
	return cmd
}

// expertsFlags are what the commands about experts have in common.
type expertsFlags struct {
	model   string
	text    texts
	most    int    // tokens of the text
	html    string // the page to write, empty for none
	opening opening
	routing routing
}

// add adds the flags; what is the command's name of the text, most how many of its tokens are
// evaluated, 0 for no bound.
func (f *expertsFlags) add(cmd *cobra.Command, what string, most int) {
	fs := cmd.Flags()
	f.text.add(fs, what)
	addModel(fs, &f.model)
	f.text.addEscapes(fs)
	if most > 0 {
		fs.IntVar(&f.most, "max-tokens", most, "evaluate only the first N tokens of a longer text")
	}
	group(fs, "Flags of the model", f.opening.add)
	group(fs, ropeHeading, f.opening.rope.add)
	cmd.ValidArgsFunction = completeModel
}

// addRouting adds the flags of the router.
func (f *expertsFlags) addRouting(cmd *cobra.Command) {
	group(cmd.Flags(), routingHeading, f.routing.add)
}

// subject is a model with its text and, if that was asked for, an override of its routers.
type subject struct {
	m        *goinfer.Model
	name     string
	argument *string // the text as it was given, nil if it was no argument
	moe      explain.MoE
	tokens   []int32
	hook     goinfer.Hook
	override string // what hook does
}

// open finds and opens the model and reads the text; it keeps room for so many further tokens. The
// caller closes the model.
func (f *expertsFlags) open(cmd *cobra.Command, args []string, room int) (s *subject, err error) {
	model, argument, err := modelAndTextOr(cmd, defaultMoE, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return nil, err
	}
	if err := checkPage(cmd, "--html", f.html, inputs{models: []string{model}, files: f.text.inputs()}); err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("max-tokens") && f.most < 1 {
		return nil, usagef("--max-tokens: want at least 1, found %d", f.most)
	}
	from, opts, text, err := f.opening.withText(cmd, model, &f.text, argument)
	if err != nil {
		return nil, err
	}
	m, err := from.open(cmd, opts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.Close() // the error that there is already says more
		}
	}()
	s = &subject{m: m, name: from.Name(), argument: argument}
	if s.moe, err = explain.MoEOf(m); err != nil {
		return nil, fmt.Errorf("%s: %w", from.Name(), err)
	}
	if s.hook, err = f.routing.hook(m); err != nil {
		return nil, err
	}
	if s.hook != nil {
		s.override = f.routing.what().String()
	}
	v := m.Tokenizer()
	if v == nil {
		return nil, fmt.Errorf("%s: the file has no vocabulary: %w", from.Name(), goinfer.ErrUnsupported)
	}
	s.tokens = v.Encode(nil, text, true, true)
	if len(s.tokens) == 0 {
		return nil, fmt.Errorf("%s: the text is empty, and the model has no token to begin one with", from.Name())
	}
	return s, f.truncate(cmd, s, opts, room)
}

// truncate shortens a text to the tokens that are evaluated, and notes that.
func (f *expertsFlags) truncate(cmd *cobra.Command, s *subject, o modelOptions, room int) error {
	if f.most == 0 {
		return nil
	}
	context := s.m.Info().Config.NCtx
	if o.Context > 0 {
		context = o.Context
	}
	most, why := f.most, "--max-tokens"
	if context-room < most {
		most, why = context-room, "-c"
	}
	if most < 1 {
		return usagef("a context of %d positions has no room for a text and %d tokens after it; -c makes it larger", context, room)
	}
	if n := len(s.tokens); n > most {
		note(cmd, "the text has %d tokens, of which the first %d are evaluated; %s changes that", n, most, why)
		s.tokens = s.tokens[:most]
	}
	return nil
}

// traceFlags are the flags of trace and heatmap.
type traceFlags struct {
	expertsFlags
	predict int
	layers  numbers
	json    bool
	csv     bool
	logits  bool
}

func (f *traceFlags) add(cmd *cobra.Command, most int) {
	fs := cmd.Flags()
	fs.IntVarP(&f.predict, "predict", "n", 0, "also show N tokens that the model generates after PROMPT")
	fs.Var(&f.layers, "layers", "show only these layers")
	fs.BoolVar(&f.json, "json", false, "print a line of JSON for each token and layer")
	fs.BoolVar(&f.csv, "csv", false, "print a line of CSV for each chosen expert")
	f.expertsFlags.add(cmd, "PROMPT", most)
	f.addRouting(cmd)
}

func newExpertsTrace() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace [flags] [MODEL] [PROMPT]",
		Short: "List the chosen experts of each token and layer",
		Long: `Evaluates PROMPT and lists for each token and layer the experts that the router chose, best first,
each with the weight that its result has, and the entropy in nats of the router's probabilities.`,
		Example: `  goinfer experts trace "The sun rises in the"
  goinfer experts trace mixtral.gguf --layers 0,31 --json -f story.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args, f.print) },
	}
	f.add(cmd, 4096)
	cmd.Flags().BoolVar(&f.logits, "logits", false, "with --json, add the router's logits of all experts")
	return cmd
}

func newExpertsHeatmap() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "heatmap [flags] [MODEL] [PROMPT]",
		Short: "Draw the experts of each token as a heat map",
		Long: `Draws which experts are chosen for each token of PROMPT in each layer: in the terminal, or with
--html as a page that needs no network and replays the text token by token.`,
		Example: `  goinfer experts heatmap "Once upon a time there was a little dog."
  goinfer experts heatmap --html page.html -n 32 "Once upon a time"`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args, f.draw) },
	}
	f.add(cmd, 256)
	cmd.Flags().StringVar(&f.html, "html", "", "write the page to `FILE`, - meaning standard output")
	return cmd
}

// run records a trace and passes it on.
func (f *traceFlags) run(cmd *cobra.Command, args []string, then func(*cobra.Command, *subject, *explain.Trace) error) error {
	switch given := count(f.json, f.csv, f.html != ""); {
	case given > 1:
		return usagef("want one of --json, --csv and --html")
	case f.logits && !f.json:
		return usagef("--logits wants --json")
	case f.predict < 0:
		return usagef("-n, --predict: want at least 0, found %d", f.predict)
	}
	s, err := f.open(cmd, args, f.predict)
	if err != nil {
		return err
	}
	defer s.m.Close()
	what := explain.Routes
	if f.logits || f.html != "" {
		what |= explain.RouterLogits
	}
	bar := startProgress(cmd, "evaluating", -1)
	defer bar.end()
	t, err := explain.Record(cmd.Context(), s.m, s.tokens, explain.RecordOptions{What: what, Generate: f.predict, Routers: f.layers.values, Hook: s.hook, Progress: bar.set})
	bar.end()
	if err != nil {
		return withHint(err)
	}
	return then(cmd, s, t)
}

func count(flags ...bool) (n int) {
	for _, on := range flags {
		if on {
			n++
		}
	}
	return n
}

// data writes the trace as JSON or CSV if that was asked for.
func (f *traceFlags) data(out io.Writer, t *explain.Trace) (written bool, err error) {
	switch {
	case f.json:
		return true, t.WriteRoutesJSON(out)
	case f.csv:
		return true, t.WriteRoutesCSV(out)
	}
	return false, nil
}

func (f *traceFlags) print(cmd *cobra.Command, s *subject, t *explain.Trace) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	if ok, err := f.data(out, t); err != nil {
		return err
	} else if ok {
		return out.Flush()
	}
	writeOverride(out, s.override)
	list := table(out)
	fmt.Fprint(list, "pos\ttoken\tlayer\tentropy\texperts, and their weights\n")
	rows := t.RouterRows()
	for i, r := range rows {
		if i > 0 && r.Pos != rows[i-1].Pos && len(t.Routers()) > 1 {
			fmt.Fprint(list, "\t\t\t\t\n")
		}
		var chosen []string
		for _, c := range r.Experts {
			chosen = append(chosen, fmt.Sprintf("%d × %.3f", c.ID, c.Weight))
		}
		fmt.Fprintf(list, "%d\t%s\t%d\t%.3f\t%s\n", r.Pos, quoted(r.Text), r.Layer, r.Entropy, strings.Join(chosen, " + "))
	}
	if err := list.Flush(); err != nil {
		return err
	}
	return out.Flush()
}

// writeOverride reports an override of the routers.
func writeOverride(out io.Writer, override string) {
	if override != "" {
		fmt.Fprintf(out, "routers overridden: %s\n\n", override)
	}
}

func (f *traceFlags) draw(cmd *cobra.Command, s *subject, t *explain.Trace) error {
	if f.html != "" {
		p, err := t.RouterPage(s.name, s.override)
		if err != nil {
			return err
		}
		return writePage(cmd, f.html, p, s.name, s.argument)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if ok, err := f.data(out, t); err != nil {
		return err
	} else if ok {
		return out.Flush()
	}
	writeOverride(out, s.override)
	newHeatMap(cmd, t).write(out)
	return out.Flush()
}
