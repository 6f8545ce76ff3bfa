package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
)

// chatHelp is what /? prints.
const chatHelp = `Commands:
  /set parameter NAME VALUE  set a parameter of the sampler, as the flags are called: temperature,
                             top_k, top_p, min_p, seed, repeat_penalty, num_predict, stop, …
  /set system TEXT           set the system message; empty removes it
  /set think HOW             think: on, off, low, medium, high, or default
  /set verbose | quiet       print counts and times after answers, or not
  /show [info|parameters|system|template|tools|messages]
  /save FILE                 write the conversation, with what is computed of it
  /load FILE                 go on with a conversation that was written
  /clear                     forget the conversation
  /retry                     have the last message answered again
  /bye                       leave

A message of several lines stands between """ and """; what is pasted is one message.
Ctrl-C ends an answer, Ctrl-D leaves; up and down go through what was typed.
`

// command runs a line that begins with a slash. known is false if it is no command but a message.
func (c *conversation) command(ctx context.Context, e *editor, line string) (leave, known bool, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/bye", "/exit", "/quit":
		return true, true, nil
	case "/?", "/help":
		_, err = fmt.Fprint(c.cmd.OutOrStdout(), chatHelp)
	case "/clear":
		c.clear()
		fmt.Fprintln(c.cmd.ErrOrStderr(), "The conversation is forgotten.")
	case "/retry", "/regen":
		err = c.retry(ctx, e)
	case "/set":
		err = c.set(ctx, rest)
	case "/show":
		err = c.show(rest)
	case "/save":
		err = c.save(ctx, rest)
	case "/load":
		err = c.load(ctx, rest)
	default:
		if strings.ContainsAny(name[1:], "/.") { // a path or the like begins a message
			return false, false, nil
		}
		err = fmt.Errorf("there is no command %s; /? lists them", name)
	}
	return false, true, err
}

// set changes what holds for the rounds to come.
func (c *conversation) set(ctx context.Context, rest string) error {
	what, value, _ := strings.Cut(rest, " ")
	value = strings.TrimSpace(value)
	switch what {
	case "parameter":
		name, value, _ := strings.Cut(value, " ")
		return c.setParameter(name, strings.TrimSpace(value))
	case "system":
		value = unquoted(value)
		return c.try(ctx, func(q *goinfer.ChatRequest) {
			q.Messages = slices.DeleteFunc(slices.Clone(q.Messages), func(m goinfer.ChatMessage) bool { return m.Role == "system" })
			if value != "" {
				q.Messages = slices.Insert(q.Messages, 0, goinfer.ChatMessage{Role: "system", Content: value})
			}
		})
	case "think", "nothink":
		how := map[bool]string{true: "off", false: value}[what == "nothink"]
		if how == "" {
			how = "on"
		}
		if how == "default" {
			c.q.Think = ""
			return nil
		}
		how, err := thinkMode(how)
		if err != nil {
			return fmt.Errorf("/set think: %w", err)
		}
		return c.try(ctx, func(q *goinfer.ChatRequest) { q.Think = how })
	case "verbose", "quiet":
		c.f.verbose = what == "verbose"
		return nil
	}
	return fmt.Errorf("/set: want parameter, system, think, verbose or quiet, found %q", shorten(what, 40))
}

// try changes the request, unless the template refuses what comes of it.
func (c *conversation) try(ctx context.Context, change func(q *goinfer.ChatRequest)) error {
	q := c.q
	change(&q)
	if err := c.accepts(ctx, q); err != nil {
		return err
	}
	c.q = q
	return nil
}

// accepts returns the template's error if it refuses a conversation that goes on with a question.
func (c *conversation) accepts(ctx context.Context, q goinfer.ChatRequest) error {
	if k := len(q.Messages); k == 0 || q.Messages[k-1].Role != "user" {
		q.Messages = append(slices.Clone(q.Messages), goinfer.ChatMessage{Role: "user", Content: "?"})
	}
	_, err := c.m.ChatPrompt(ctx, q)
	return err
}

// parameterNames are names that Ollama has for flags of the sampler.
var parameterNames = map[string]string{"num-predict": "predict", "tfs-z": "", "num-ctx": "", "mirostat-tau": "mirostat-ent", "mirostat-eta": "mirostat-lr", "typical-p": "typical"}

// parameters are the flags that may be set between two rounds.
func (c *conversation) parameters() (flags []*pflag.Flag) {
	c.cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if a := f.Annotations["heading"]; len(a) > 0 && a[0] == samplerHeading || f.Name == "predict" || f.Name == "stop" {
			flags = append(flags, f)
		}
	})
	return flags
}

func (c *conversation) setParameter(name, value string) error {
	long := strings.ReplaceAll(name, "_", "-")
	if other, ok := parameterNames[long]; ok {
		long = other
	}
	f := c.cmd.Flags().Lookup(long)
	if long == "" || f == nil || !slices.Contains(c.parameters(), f) {
		return fmt.Errorf("/set parameter: there is no parameter %q that can be set between two turns", shorten(name, 40))
	}
	if value == "" {
		return fmt.Errorf("/set parameter %s: want a value", name)
	}
	was, changed := f.Value.String(), f.Changed
	list, isList := f.Value.(pflag.SliceValue)
	var before []string
	var err error
	if isList {
		before = list.GetSlice()
		err = list.Replace([]string{unquoted(value)})
		f.Changed = true
	} else {
		err = c.cmd.Flags().Set(f.Name, value)
	}
	if err == nil {
		err = c.f.sampled(c.cmd, &c.q)
	}
	if err == nil {
		return nil
	}
	var undo error
	if isList {
		undo = list.Replace(before)
	} else {
		undo = f.Value.Set(was)
	}
	f.Changed = changed
	return errors.Join(fmt.Errorf("/set parameter %s: %w", name, err), undo)
}

// show prints what is known.
func (c *conversation) show(what string) error {
	out := c.cmd.OutOrStdout()
	t, err := c.m.ChatTemplate(c.q.Template, len(c.q.Tools) > 0)
	if err != nil {
		return err
	}
	switch what {
	case "", "info":
		info := c.m.Info()
		printFact(out, "model", "%s", printable(c.source.String()))
		printFact(out, "layers", "%d of %s, context %d", info.Config.NLayer, info.Config.Arch, info.Context)
		printFact(out, "template", "%s", printable(t.Source().Name))
		for _, a := range t.Abilities() {
			printFact(out, "", "%s", printable(a))
		}
		if turn := c.q.After; turn != nil {
			printFact(out, "so far", "%s, %s", plural(len(c.q.Messages), "message"), plural(len(turn.Prompt.IDs)+len(turn.IDs), "token"))
		}
	case "parameters":
		for _, f := range c.parameters() {
			if !f.Hidden {
				printFact(out, "", "%-22s %s", f.Name, printable(f.Value.String()))
			}
		}
	case "system":
		for _, m := range c.q.Messages {
			if m.Role == "system" {
				fmt.Fprintln(out, printableText(m.Content))
			}
		}
	case "template":
		fmt.Fprintln(out, printableText(t.Source().Text))
	case "tools":
		for _, tool := range c.q.Tools {
			fmt.Fprintf(out, "%s: %s\n", printable(tool.Name), printable(tool.Description))
		}
	case "messages":
		for _, m := range c.q.Messages {
			fmt.Fprintf(out, "%s: %s\n", printable(m.Role), printableText(m.Text()))
			for _, call := range m.ToolCalls {
				fmt.Fprintf(out, "  %s(%s)\n", printable(call.Name), printable(call.Arguments))
			}
		}
	default:
		return fmt.Errorf("/show: want info, parameters, system, template, tools or messages, found %q", shorten(what, 40))
	}
	return nil
}

// unquoted is a value without the quotation marks around it, if it has them on both sides.
func unquoted(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}
