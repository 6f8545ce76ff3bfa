package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/chat/jinja"
)

func newTemplate() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "template",
		Short:      "Show, render or check a chat template",
		SuggestFor: []string{"jinja", "chat-template"},
		Long: `The chat template converts a conversation to the text that an instruct model was trained on. It is
part of the model's file, or a file of its own (.jinja, chat_template.json, tokenizer_config.json).`,
		Example: `  goinfer template show model.gguf
  goinfer template render model.gguf -f inputs.json
  goinfer template check chat_template.jinja`,
	}
	cmd.AddCommand(newTemplateShow(), newTemplateRender(), newTemplateCheck())
	return cmd
}

// templateFlags are what the three commands share.
type templateFlags struct{ choice string }

func (f *templateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.choice, "chat-template", "", "a built-in template such as chatml, a variant in the model, or a file: `NAME|FILE`")
	cmd.ValidArgsFunction = completeModel
}

// templateOf is a template with what is known of its model.
type templateOf struct {
	source   chat.Source
	code     *jinja.Template
	vocab    *goinfer.Tokenizer // nil for a file with a template alone
	variants []string           // names of further templates in the model
}

// load finds the template in MODEL or FILE.
func (f *templateFlags) load(ctx context.Context, arg string) (*templateOf, error) {
	t := &templateOf{}
	if isTemplateFile(arg) {
		text, err := chat.ReadFile(arg)
		if err != nil {
			return nil, err
		}
		t.source = chat.Source{Name: arg, Text: text}
	} else {
		s, err := find(arg)
		if err != nil {
			return nil, err
		}
		info, err := s.inspect(ctx, 0)
		if err != nil {
			return nil, err
		}
		if t.vocab, err = s.tokenizer(ctx); err != nil {
			return nil, err
		}
		texts := map[string]string{}
		for _, m := range info.Metadata {
			if text, ok := m.Value.(string); ok {
				texts[m.Key] = text
			}
			if name, ok := strings.CutPrefix(m.Key, chat.MetadataKey+"."); ok {
				t.variants = append(t.variants, name)
			}
		}
		t.source, err = chat.Find(func(key string) (string, bool) { text, ok := texts[key]; return text, ok }, t.vocab, f.choice)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	var err error
	t.code, err = jinja.Compile(t.source.Name, t.source.Text)
	return t, err
}

// isTemplateFile reports whether an argument is a file with a template, and no model.
func isTemplateFile(arg string) bool {
	for _, end := range [...]string{".jinja", ".jinja2", ".j2", "chat_template.json", "tokenizer_config.json"} {
		if strings.HasSuffix(strings.ToLower(arg), end) {
			return true
		}
	}
	return false
}

func newTemplateShow() *cobra.Command {
	var f templateFlags
	cmd := &cobra.Command{
		Use:   "show [flags] MODEL|FILE",
		Short: "Write the template",
		Long:  "Writes the template to standard output, and on the side where it is from and what variables it reads.",
		Example: `  goinfer template show model.gguf
  goinfer template show --chat-template llama3 model.gguf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := f.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			t.notes(cmd)
			names := t.code.Variables()
			sort.Strings(names)
			note(cmd, "it reads %s", strings.Join(names, ", "))
			_, err = io.WriteString(cmd.OutOrStdout(), t.source.Text)
			return err
		},
	}
	f.add(cmd)
	return cmd
}

// notes says where the template is from.
func (t *templateOf) notes(cmd *cobra.Command) {
	note(cmd, "the template is %s", t.source.Name)
	if t.source.Note != "" {
		note(cmd, "%s", t.source.Note)
	}
	if len(t.variants) > 0 {
		note(cmd, "the model also has %s", strings.Join(t.variants, ", "))
	}
}

func newTemplateRender() *cobra.Command {
	var f templateFlags
	var file, now string
	cmd := &cobra.Command{
		Use:   "render [flags] MODEL|FILE",
		Short: "Render the template with variables from a JSON file",
		Long: `Writes what the template makes of its variables, byte for byte. INPUTS is an object of all of them:
messages, tools, add_generation_prompt, bos_token, …; what is not in it is undefined. On a terminal
the template's own text is in colour, control tokens brighter.`,
		Example: `  echo '{"messages": [{"role": "user", "content": "Hello"}]}' |
    goinfer template render model.gguf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lim := jinja.Limits{}
			if now != "" {
				var err error
				if lim.Now, err = time.Parse("2006-01-02T15:04:05", now); err != nil {
					return usagef("--now: want a time such as 2026-11-23T14:05:09, found %q", now)
				}
			}
			t, err := f.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			vars, err := readVariables(cmd, file)
			if err != nil {
				return err
			}
			out, err := t.code.Render(cmd.Context(), vars, lim)
			if err != nil {
				return err
			}
			return t.print(cmd, out)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "-", "read the variables from `INPUTS`, - meaning standard input")
	cmd.Flags().StringVar(&now, "now", "", "what the template takes for the `TIME` (default the clock)")
	return cmd
}

// readVariables reads an object of JSON.
func readVariables(cmd *cobra.Command, file string) (*jinja.Map, error) {
	if file == "-" && isTerminal(cmd.InOrStdin()) {
		return nil, usagef("there are no variables: want them by -f FILE or on standard input")
	}
	text, err := readText(cmd, file, true)
	if err != nil {
		return nil, err
	}
	v, err := jinja.ParseJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	vars, ok := v.(*jinja.Map)
	if !ok {
		return nil, fmt.Errorf("%s: want a JSON object of variables", file)
	}
	// they are the template's text
	for _, name := range [...]string{"bos_token", "eos_token", "unk_token", "pad_token"} {
		if s, ok := vars.Get(name); ok {
			if s, ok := s.(string); ok {
				vars.Set(name, jinja.Literal(s))
			}
		}
	}
	return vars, nil
}

const (
	colourOff      = "\x1b[0m"
	colourTemplate = "\x1b[36m"
	colourControl  = "\x1b[1;35m"
)

// print writes a rendering, in colour on a terminal.
func (t *templateOf) print(cmd *cobra.Command, text jinja.Text) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	if !isTerminal(cmd.OutOrStdout()) || os.Getenv("NO_COLOR") != "" {
		out.WriteString(text.String())
		return out.Flush()
	}
	s := text.String()
	for _, span := range text.Spans() {
		if span.Source != jinja.FromTemplate {
			out.WriteString(printableText(s[span.From:span.To]))
			continue
		}
		for _, piece := range t.controls(s[span.From:span.To]) {
			colour := colourTemplate
			if piece.control {
				colour = colourControl
			}
			out.WriteString(colour + printableText(piece.text) + colourOff)
		}
	}
	return out.Flush()
}

// printableText is text as a terminal may show it, with its line breaks.
func printableText(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

type controlPiece struct {
	text    string
	control bool
}

// controls cuts the template's text at control tokens; without a vocabulary, at what looks like
// one.
func (t *templateOf) controls(s string) []controlPiece {
	var pieces []controlPiece
	if t.vocab == nil {
		for s != "" {
			from := strings.IndexByte(s, '<')
			if from < 0 {
				break
			}
			to := strings.IndexByte(s[from:], '>')
			if to < 0 {
				break
			}
			pieces = append(pieces, controlPiece{s[:from], false}, controlPiece{s[from : from+to+1], !strings.ContainsAny(s[from:from+to], " \n")})
			s = s[from+to+1:]
		}
		return append(pieces, controlPiece{s, false})
	}
	for _, id := range t.vocab.Encode(nil, s, false, true) {
		if spelling := t.vocab.Spelling(id); t.vocab.IsControl(id) {
			if k := strings.Index(s, spelling); k >= 0 {
				pieces = append(pieces, controlPiece{s[:k], false}, controlPiece{spelling, true})
				s = s[k+len(spelling):]
			}
		}
	}
	return append(pieces, controlPiece{s, false})
}

func newTemplateCheck() *cobra.Command {
	var f templateFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "check [flags] MODEL|FILE",
		Short: "Try the template on conversations of every kind",
		Long: `Renders conversations of every kind (plain, tools, calls and their results, parts, thoughts, odd
orders and roles) and prints what the template refuses, fails at, or silently leaves out, and what it
is found to know. The exit status is 1 if a plain conversation does not work.`,
		Example: `  goinfer template check model.gguf
  goinfer template check --all chat_template.jinja`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := f.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			t.notes(cmd)
			return t.check(cmd, all)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "print the conversations that work too")
	return cmd
}

// plainConversations are those that every template must render.
var plainConversations = []string{"user_gen", "user_nogen", "multi_turn_gen"}

func (t *templateOf) check(cmd *cobra.Command, all bool) error {
	bos, eos := "<s>", "</s>"
	if t.vocab != nil {
		bos, eos = t.vocab.Spelling(t.vocab.BOS()), t.vocab.Spelling(t.vocab.EOS())
		known, err := chat.New(t.source, t.vocab)
		if err != nil {
			return err
		}
		for _, a := range known.Abilities() {
			fmt.Fprintln(cmd.OutOrStdout(), a)
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	findings, err := chat.Check(t.code, bos, eos)
	if err != nil {
		return err
	}
	w := table(cmd.OutOrStdout())
	count := map[chat.Verdict]int{}
	broken := false
	for _, r := range findings {
		count[r.Verdict]++
		if r.Verdict != chat.VerdictOK || all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", r.Verdict, r.Name, printable(r.Message))
		}
		broken = broken || r.Verdict != chat.VerdictOK && slices.Contains(plainConversations, r.Name)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\n%s: %d ok, %d refused by the template, %d failed, %d with something left out\n",
		plural(len(findings), "conversation"), count[chat.VerdictOK], count[chat.VerdictRefuses], count[chat.VerdictFails], count[chat.VerdictDrops])
	if broken {
		return errors.New("the template cannot render a plain conversation")
	}
	return nil
}
