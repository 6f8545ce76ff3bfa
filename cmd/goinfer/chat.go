package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/grammar"
	faults "github.com/goinfer/goinfer/internal/fault"
)

// chatFlags are the flags of chat.
type chatFlags struct {
	model      string
	text       texts
	predict    int
	stop       []string
	single     bool
	verbose    bool
	system     string
	systemFile string
	template   string
	kwargs     string
	think      string
	budget     int
	hide       bool
	tools      string
	choice     string
	strict     bool
	control    bool
	overflow   string
	opening    opening
	sampling   sampling
	constraint constraintFlags
}

// chatHeading is what the flags of the conversation stand under.
const chatHeading = "Flags of the conversation"

func newChat() *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:        "chat [flags] [MODEL] [PROMPT]",
		Short:      "Talk with a model",
		SuggestFor: []string{"talk", "ask", "repl"},
		Long: `Talks with an instruct model by its own chat template. On a terminal questions are read line by
line, with history and editing; what is pasted is one message, and so is what stands between two
lines of """. Ctrl-C ends an answer and keeps what there is of it, Ctrl-D or /bye leaves, /? lists
the commands. With PROMPT that is the first message.

Where standard input or standard output is no terminal there is one turn: the message is PROMPT, or
standard input, and the answer goes to standard output; nothing is asked.

Control tokens that are spelled out in a message are read as plain text. Earlier turns are not computed
again but for what the template writes differently, such as thoughts that it leaves out.`,
		Example: `  goinfer chat model.gguf
  goinfer chat model.gguf -sys "Answer in French." --think off
  goinfer chat model.gguf --tools tools.json --temp 0
  echo "What is the opposite of west?" | goinfer chat`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	f.text.add(fs, "PROMPT")
	addModel(fs, &f.model)
	fs.IntVarP(&f.predict, "predict", "n", -1, "tokens of an answer; -1 means no limit")
	fs.StringArrayVarP(&f.stop, "stop", "r", nil, "end an answer at this `STRING`, which is not written; may be repeated")
	fs.BoolVarP(&f.text.escapes, "escapes", "e", false, `resolve \n, \t and the like in PROMPT, -p, -sys and stop strings`)
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "print counts, cached tokens and times after each answer")
	group(fs, chatHeading, f.addConversation)
	group(fs, "Flags of the model", f.opening.add)
	group(fs, samplerHeading, f.sampling.add)
	group(fs, constraintHeading, f.constraint.add)
	for _, name := range []string{"jinja", "conversation", "log-disable", "no-perf", "offline", "no-display-prompt", "simple-io"} {
		fs.Bool(name, false, "")
		hide(fs, name)
	}
	for _, name := range []string{"image", "audio", "video", "mmproj"} {
		fs.Var(refusedFlag(name), name, "")
		hide(fs, name)
	}
	return cmd
}

func (f *chatFlags) addConversation(fs *pflag.FlagSet) {
	fs.StringVar(&f.system, "system-prompt", "", "system message: `TEXT` (-sys)")
	fs.StringVar(&f.systemFile, "system-prompt-file", "", "the same, from `FILE` (-sysf)")
	fs.BoolVar(&f.single, "single-turn", false, "leave after one turn (-st)")
	fs.StringVar(&f.template, "chat-template", "", "a built-in template such as chatml, a variant in the model, or a file: `NAME|FILE`\n(default the model's own)")
	fs.StringVar(&f.kwargs, "chat-template-kwargs", "", "further variables of the template: a `JSON` object")
	fs.StringVar(&f.think, "think", "", "think `HOW`: on, off, low, medium or high, as the template knows it")
	fs.Lookup("think").NoOptDefVal = "on"
	fs.IntVar(&f.budget, "reasoning-budget", -1, "close the thoughts after so many tokens; 0 means at once, -1 never")
	fs.BoolVar(&f.hide, "hidethinking", false, "do not show thoughts")
	fs.StringVar(&f.tools, "tools", "", "functions that the model may call, from `FILE`: a JSON list as in OpenAI's API")
	fs.StringVar(&f.choice, "tool-choice", "auto", "auto, none, required, or the `NAME` of the tool that must be called")
	fs.BoolVar(&f.strict, "strict-tools", false, "have calls satisfy the parameters of their tools")
	fs.BoolVar(&f.control, "allow-control", false, "have messages spell control tokens, such as <|im_end|>")
	fs.StringVar(&f.overflow, "overflow", "stop", "when the context is full: `stop`, or drop-oldest messages")
}

// refusedFlag is a flag of what is not supported.
type refusedFlag string

func (r refusedFlag) Type() string   { return "string" }
func (r refusedFlag) String() string { return "" }

func (r refusedFlag) Set(string) error {
	return fmt.Errorf("messages are text: images, audio and video are not supported")
}

func (f *chatFlags) run(cmd *cobra.Command, args []string) error {
	model, argument, err := modelAndText(cmd, f.model, len(f.text.given(cmd)) > 0, f.text.what, args)
	if err != nil {
		return err
	}
	c := &conversation{cmd: cmd, f: f}
	if err := f.request(cmd, &c.q); err != nil {
		return err
	}
	given := argument != nil || len(f.text.given(cmd)) > 0
	talks := isTerminal(cmd.InOrStdin()) && isTerminal(cmd.OutOrStdout())
	opts, err := f.opening.options(cmd)
	if err != nil {
		return err
	}
	s, err := find(model)
	if err != nil {
		return err
	}
	message := ""
	if given || !talks {
		if message, err = f.text.read(cmd, argument, true); err != nil {
			return err
		}
		if message = strings.TrimSuffix(strings.TrimSuffix(message, "\n"), "\r"); strings.TrimSpace(message) == "" {
			return usagef("the message is empty")
		}
	}
	began := time.Now()
	m, err := s.open(cmd, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := c.open(m, s, time.Since(began)); err != nil {
		return err
	}
	if !talks {
		return c.oneTurn(cmd.Context(), message)
	}
	// Ctrl-C ends an answer, not the command.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), syscall.SIGTERM)
	defer stop()
	return c.repl(ctx, message, given)
}

// request is what the flags ask for.
func (f *chatFlags) request(cmd *cobra.Command, q *goinfer.ChatRequest) error {
	var err error
	if err = f.sampled(cmd, q); err != nil {
		return err
	}
	if f.overflow != "stop" && f.overflow != "drop-oldest" {
		return usagef("--overflow: want stop or drop-oldest, found %q", f.overflow)
	}
	q.Template, q.AllowControl, q.ToolChoice, q.StrictTools = f.template, f.control, f.choice, f.strict
	if f.think != "" {
		if q.Think, err = thinkMode(f.think); err != nil {
			return usagef("--think: %w", err)
		}
	}
	switch {
	case f.budget < -1:
		return usagef("--reasoning-budget: want at least -1, found %d", f.budget)
	case f.budget == 0:
		q.ReasoningBudget = -1
	case f.budget > 0:
		q.ReasoningBudget = f.budget
	}
	if f.kwargs != "" {
		d := json.NewDecoder(strings.NewReader(f.kwargs))
		d.UseNumber()
		err := d.Decode(&q.Variables)
		if _, after := d.Token(); err != nil || after != io.EOF {
			return usagef("--chat-template-kwargs: want a JSON object, found %q", shorten(f.kwargs, 60))
		}
	}
	if f.tools != "" {
		data, err := os.ReadFile(f.tools)
		if err != nil {
			return faults.System(err)
		}
		if q.Tools, err = chat.ParseTools(data); err != nil {
			return named(f.tools, err)
		}
	} else if f.choice != "auto" && f.choice != "none" {
		return usagef("--tool-choice %s: want --tools beside it", f.choice)
	}
	system, err := f.systemMessage(cmd)
	if system != "" {
		q.Messages = []goinfer.ChatMessage{{Role: "system", Content: system}}
	}
	return err
}

// sampled reads the flags that may be set between two rounds.
func (f *chatFlags) sampled(cmd *cobra.Command, q *goinfer.ChatRequest) error {
	p, err := f.sampling.params(cmd, f.text.unescape)
	if err != nil {
		return err
	}
	p.Grammar = q.Sampling.Grammar
	q.Sampling, q.MaxTokens, q.Stop = p, max(0, f.predict), nil
	for _, s := range f.stop {
		s, err := f.text.unescape(s)
		if err != nil {
			return err
		}
		if s == "" {
			return usagef("--stop: a stop string is empty")
		}
		q.Stop = append(q.Stop, s)
	}
	return nil
}

func (f *chatFlags) systemMessage(cmd *cobra.Command) (string, error) {
	switch {
	case f.system != "" && f.systemFile != "":
		return "", usagef("want one of --system-prompt and --system-prompt-file, found both")
	case f.systemFile != "":
		return readText(cmd, f.systemFile, false)
	}
	return f.text.unescape(f.system)
}

// thinkMode reads how to think; true and false are on and off.
func thinkMode(s string) (string, error) {
	switch s {
	case "true":
		return "on", nil
	case "false":
		return "off", nil
	}
	for _, m := range chat.ThinkModes {
		if s == m {
			return s, nil
		}
	}
	return "", fmt.Errorf("want %s, found %q", strings.Join(chat.ThinkModes, ", "), s)
}

// conversation is a conversation under way.
type conversation struct {
	cmd    *cobra.Command
	f      *chatFlags
	m      *goinfer.Model
	source modelSource
	q      goinfer.ChatRequest
	took   time.Duration // to load the model
	shown  map[string]bool
}

// open takes the model, and finds out whether it can hold this conversation.
func (c *conversation) open(m *goinfer.Model, s modelSource, took time.Duration) error {
	c.m, c.source, c.took, c.shown = m, s, took, map[string]bool{}
	t, err := m.ChatTemplate(c.q.Template, len(c.q.Tools) > 0)
	if err != nil {
		return err
	}
	if s.Path() == "" {
		c.note("%s is built in: a toy that knows some facts and stories; give the path of an instruct model", s.Name())
	}
	if n := t.Source().Note; n != "" {
		c.note("%s", n)
	}
	if c.q.Sampling.Grammar, err = c.f.constraint.grammar(c.cmd, m.Tokenizer()); err != nil {
		return err
	}
	if c.f.strict || c.f.choice != "auto" && c.f.choice != "none" || c.q.Sampling.Grammar != nil {
		v := grammar.NewVocabulary(m.Tokenizer())
		c.q.Schema = func(schema json.RawMessage) (goinfer.Grammar, error) {
			g, err := grammar.Schema(schema, grammar.Options{})
			if err != nil {
				return nil, err
			}
			return g.Grammar(v)
		}
	}
	// What is wrong with the flags is reported before anything is asked.
	return c.accepts(c.cmd.Context(), c.q)
}

// note says something on the side, once.
func (c *conversation) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !c.shown[s] {
		c.shown[s] = true
		note(c.cmd, "%s", s)
	}
}

// oneTurn answers a message, and writes the answer alone: calls of tools as lines of JSON.
func (c *conversation) oneTurn(ctx context.Context, message string) error {
	c.q.Messages = append(c.q.Messages, goinfer.ChatMessage{Role: "user", Content: message})
	turn, err := c.ask(ctx)
	if err != nil {
		return err
	}
	if err := c.printCalls(turn); err != nil {
		return err
	}
	if turn.Stop == goinfer.StopCancelled {
		return context.Cause(ctx)
	}
	return nil
}

// printCalls writes calls as lines of JSON.
func (c *conversation) printCalls(turn *goinfer.ChatTurn) error {
	var b bytes.Buffer
	for _, call := range turn.Message.ToolCalls {
		line, err := json.Marshal(struct {
			ID        string          `json:"id"`
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		}{call.ID, call.Name, json.RawMessage(call.Arguments)})
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	_, err := c.cmd.OutOrStdout().Write(b.Bytes())
	return err
}

// fits drops the oldest messages, if that is wanted, until the next turn has room.
func (c *conversation) fits(ctx context.Context) error {
	if c.f.overflow == "stop" {
		return nil
	}
	most := c.m.Info().Context - min(c.m.Info().Context/8, 512)
	dropped := 0
	for {
		p, err := c.m.ChatPrompt(ctx, c.q)
		if err != nil {
			return err
		}
		from, to := c.oldest()
		if len(p.IDs) <= most || to == 0 {
			break
		}
		c.q.Messages = append(c.q.Messages[:from:from], c.q.Messages[to:]...)
		dropped += to - from
	}
	if dropped > 0 {
		note(c.cmd, "the context of %d tokens is full: the oldest %s left out", c.m.Info().Context, map[bool]string{true: "message is", false: fmt.Sprintf("%d messages are", dropped)}[dropped == 1])
	}
	return nil
}

// oldest is the range of the oldest turn, up to the next message of the user's; to is 0 if there is
// only one.
func (c *conversation) oldest() (from, to int) {
	for from < len(c.q.Messages) && c.q.Messages[from].Role == "system" {
		from++
	}
	for to = from + 1; to < len(c.q.Messages); to++ {
		if c.q.Messages[to].Role == "user" {
			return from, to
		}
	}
	return from, 0
}

// fullHint adds to an error of a full context what can be done.
func fullHint(err error) error {
	if errors.Is(err, goinfer.ErrContextFull) {
		return fmt.Errorf("%w; -c makes it larger, --overflow drop-oldest goes on without the oldest messages, /clear starts again", err)
	}
	return err
}
