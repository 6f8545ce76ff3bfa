package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/grammar"
	faults "github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/probe"
)

func newGrammar() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grammar COMMAND",
		Short: "Try out JSON schemas and grammars",
		Long: `Tries out what constrains the output of a model: JSON schemas, GBNF grammars and regular
expressions. No model runs; a file with a vocabulary is enough.`,
		Example: `  goinfer grammar check --json-schema-file s.json answer.json
  goinfer grammar bench --vocab model.gguf maskbench.jsonl.gz`,
		SuggestFor: []string{"schema", "gbnf", "validate"},
		Args:       cobra.ArbitraryArgs,
		RunE:       runRoot,
	}
	cmd.AddCommand(newGrammarCheck(), newGrammarBench())
	return cmd
}

// grammarCheckFlags are the flags of grammar check.
type grammarCheckFlags struct {
	constraint constraintFlags
	schema     string
	vocab      string
}

func newGrammarCheck() *cobra.Command {
	var f grammarCheckFlags
	cmd := &cobra.Command{
		Use:   "check [flags] INSTANCE…",
		Short: "Say whether texts satisfy a constraint",
		Long: `Says of each INSTANCE whether the constraint accepts it, or at which byte it does not: with --vocab also
at which token, and what might have come there. INSTANCE is a file, or - for standard input; a text
that begins with { or [ is taken as it is. The exit code is 1 if one is not accepted.`,
		Example: `  goinfer grammar check --schema s.json answer.json
  goinfer grammar check -j '{"items": {"type": "integer"}}' '[1, 2.5]'
  goinfer grammar check --grammar-file chess.gbnf --vocab model.gguf game.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.schema, "schema", "", "the same as --json-schema-file `FILE`")
	fs.StringVar(&f.vocab, "vocab", "", "cut the texts into tokens of `MODEL`")
	group(fs, constraintHeading, f.constraint.add)
	return cmd
}

func (f *grammarCheckFlags) run(cmd *cobra.Command, args []string) error {
	if cmd.Flags().Changed("schema") {
		if err := cmd.Flags().Set("json-schema-file", f.schema); err != nil {
			return err
		}
	}
	c, err := f.constraint.constraint(cmd)
	if err != nil {
		return err
	}
	if c == nil {
		return usagef("want a constraint: --schema, --grammar, --regex, …")
	}
	if len(args) == 0 {
		return usagef("want an INSTANCE")
	}
	var v *goinfer.Tokenizer
	var g grammar.Grammar
	if f.vocab != "" {
		s, err := find(f.vocab)
		if err != nil {
			return err
		}
		if v, err = s.tokenizer(cmd.Context()); err != nil {
			return err
		}
		if g, err = c.Grammar(grammar.NewVocabulary(v)); err != nil {
			return err
		}
	}
	rejected := 0
	for _, arg := range args {
		name, text, err := instance(cmd, arg)
		if err != nil {
			return err
		}
		verdict, ok := check(c, text)
		if v != nil {
			verdict, ok = checkTokens(v, g, text)
		}
		if !ok {
			rejected++
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", printable(name), verdict); err != nil {
			return err
		}
	}
	if rejected > 0 {
		return fmt.Errorf("%d of %s not accepted", rejected, plural(len(args), "text"))
	}
	return nil
}

// instance reads a text; a line break at its end is left out.
func instance(cmd *cobra.Command, arg string) (name, text string, err error) {
	if strings.HasPrefix(arg, "{") || strings.HasPrefix(arg, "[") {
		return shorten(arg, 40), arg, nil
	}
	var data []byte
	if arg == "-" {
		name = "standard input"
		data, err = io.ReadAll(cmd.InOrStdin())
	} else {
		name = arg
		data, err = os.ReadFile(arg)
	}
	if err != nil {
		return name, "", faults.System(err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	return name, string(data), nil
}

// check reads a text byte by byte.
func check(c *grammar.Constraint, text string) (verdict string, ok bool) {
	switch n, complete := c.Check(text); {
	case complete:
		return fmt.Sprintf("accepted, %s", plural(len(text), "byte")), true
	case n == len(text):
		return fmt.Sprintf("not accepted: it is not complete at its end, byte %d", n), false
	default:
		return fmt.Sprintf("not accepted: byte %d, %s after %s", n, around(text[n:], true), around(text[:n], false)), false
	}
}

// around quotes the beginning or the end of a text.
func around(s string, beginning bool) string {
	const most = 20
	switch {
	case s == "" && !beginning:
		return "the beginning"
	case len(s) <= most:
		return strconv.Quote(s)
	case beginning:
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return "…" + strconv.Quote(strings.ToValidUTF8(s[len(s)-most:], ""))
}

// checkTokens reads a text token by token.
func checkTokens(v *goinfer.Tokenizer, g grammar.Grammar, text string) (verdict string, ok bool) {
	ids := v.Encode(nil, text, false, true)
	m := g.NewMatcher()
	at := 0
	for i, id := range ids {
		if err := m.Accept(id); err != nil {
			var e *grammar.Error
			if errors.As(err, &e) {
				at += e.At
			}
			return fmt.Sprintf("not accepted: byte %d, token %d (id %d, %s); there might be %s", at, i, id, strconv.Quote(string(v.Bytes(id))), possible(v, m)), false
		}
		at += len(v.Bytes(id))
	}
	if !m.Done() {
		return fmt.Sprintf("not accepted: it is not complete at its end, byte %d, token %d; there might be %s", at, len(ids), possible(v, m)), false
	}
	return fmt.Sprintf("accepted, %s, %s", plural(len(text), "byte"), plural(len(ids), "token")), true
}

// possible shows some of the tokens that may come next, the shortest first.
func possible(v *goinfer.Tokenizer, m grammar.Matcher) string {
	mask := make([]uint64, (v.Size()+63)/64)
	m.Mask(mask)
	var texts []string
	n := 0
	for id := range int32(v.Size()) {
		if mask[id/64]>>(id%64)&1 == 0 {
			continue
		}
		n++
		text := strconv.Quote(string(v.Bytes(id)))
		if v.IsControl(id) {
			text = printable(v.Spelling(id))
		}
		texts = append(texts, text)
	}
	slices.SortStableFunc(texts, func(a, b string) int { return len(a) - len(b) })
	const most = 8
	out := strings.Join(texts[:min(len(texts), most)], " ")
	if m.Done() {
		out = strings.TrimSpace("the end " + out)
	}
	if n > most {
		out += fmt.Sprintf(" and %d more", n-most)
	}
	return out
}

// grammarBenchFlags are the flags of grammar bench.
type grammarBenchFlags struct {
	vocab, whitespace string
	json, noFormat    bool
	faults            bool
	runs              int
}

func newGrammarBench() *cobra.Command {
	var f grammarBenchFlags
	cmd := &cobra.Command{
		Use:   "bench [flags] FILE",
		Short: "Measure schemas with instances, as MaskBench does",
		Long: `Compiles every schema of FILE, walks its instances token by token with a mask at each step, and says
how many came out right and how long masks and compilation took. FILE has one JSON object on a line:
name, schema, tests [{description, valid, data}]; its name may end in .gz. Instances are written as
Python's json.dumps does. Times are the least of three runs on one core.`,
		Example: `  goinfer grammar bench --vocab model.gguf maskbench.jsonl.gz
  goinfer grammar bench --vocab model.gguf --json schemas.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.vocab, "vocab", "", "cut the texts into tokens of `MODEL`")
	fs.BoolVar(&f.json, "json", false, "write the result as JSON")
	fs.BoolVar(&f.faults, "faults", false, "list what came out wrong and what was refused")
	fs.BoolVar(&f.noFormat, "no-format", false, "the keyword format says nothing")
	fs.StringVar(&f.whitespace, "json-whitespace", "flexible", "white space in JSON: `none`, usual or flexible")
	fs.IntVar(&f.runs, "runs", 3, "runs of each schema, of which the least times count")
	return cmd
}

func (f *grammarBenchFlags) run(cmd *cobra.Command, args []string) error {
	o, ok := whitespaces[f.whitespace]
	switch {
	case !ok:
		return usagef("--json-whitespace: want none, usual or flexible, found %q", shorten(f.whitespace, 40))
	case len(args) != 1:
		return usagef("want one FILE, found %d", len(args))
	case f.vocab == "":
		return usagef("want --vocab MODEL")
	case f.runs < 1:
		return usagef("--runs: want at least 1, found %d", f.runs)
	}
	o.NoFormat = f.noFormat
	s, err := find(f.vocab)
	if err != nil {
		return err
	}
	v, err := s.tokenizer(cmd.Context())
	if err != nil {
		return err
	}
	in, err := openMaybeGzip(args[0])
	if err != nil {
		return faults.System(err)
	}
	defer in.Close()
	words := grammar.NewVocabulary(v)
	var reports []grammar.Report
	bar := startProgress(cmd, "measuring schemas", -1)
	defer bar.end()
	err = grammar.ReadCases(in, func(c grammar.Case) error {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		reports = append(reports, grammar.MeasureLeast(words, v, c, o, f.runs))
		return nil
	})
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return f.print(cmd.OutOrStdout(), grammar.Summarise(words, reports), reports)
}

// openMaybeGzip opens a file, and unpacks it if its name says that it is packed.
func openMaybeGzip(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return file, err
	}
	z, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, file}, nil
}

func (f *grammarBenchFlags) print(out io.Writer, s grammar.Summary, reports []grammar.Report) error {
	machine, err := probe.Machine()
	if err != nil {
		return err
	}
	s.CPU = machine.CPU
	if f.json {
		data, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", data)
		return err
	}
	b := bufio.NewWriter(out)
	printFact(b, "schemas", "%d, of which %d compiled and %d passing (%.1f %%)", s.Schemas, s.Compiled, s.Passing, 100*float64(s.Passing)/float64(max(s.Schemas, 1)))
	printFact(b, "instances", "%d of %d invalid ones accepted, %d of %d valid ones rejected", s.InvalidAccepted, s.Invalid, s.ValidRejected, s.Valid)
	printFact(b, "masks", "%d: mean %.1f µs, 99 %% within %.1f µs, longest %.1f µs", s.Masks, s.MaskMean, s.MaskP99, s.MaskMax)
	printFact(b, "compiling", "half within %.1f µs, 99 %% within %.1f µs, longest %.1f µs", s.CompileP50, s.CompileP99, s.CompileMax)
	printFact(b, "machine", "%s; one pass over the vocabulary's trie takes %.1f µs", s.CPU, s.TriePass)
	for _, k := range s.RefusedKeys() {
		printFact(b, "refused", "%d: %s", s.Refused[k], printable(k))
	}
	if f.faults {
		for _, r := range reports {
			for _, line := range r.Faults() {
				fmt.Fprintln(b, printable(line))
			}
		}
	}
	return b.Flush()
}
