package main

import (
	"context"
	"io"
	"os"

	"github.com/goinfer/goinfer"
)

// ask answers the last message and adds the answer to the conversation, unless it fails.
func (c *conversation) ask(ctx context.Context) (*goinfer.ChatTurn, error) {
	if err := c.fits(ctx); err != nil {
		return nil, err
	}
	bar := startProgress(c.cmd, "reading the prompt", -1)
	defer bar.end()
	q := c.q
	q.Progress = bar.set
	p := c.printer()
	var turn *goinfer.ChatTurn
	shown := 0 // bytes of the content that were written
	for e, err := range c.m.Chat(ctx, q) {
		if err != nil {
			return nil, fullHint(err)
		}
		bar.end()
		if e.Kind == goinfer.ChatStop {
			turn = e.Turn
			break
		}
		if e.Kind == goinfer.ChatText {
			shown += len(e.Text)
		}
		if err := p.event(e); err != nil {
			return nil, err
		}
	}
	// A call that does not parse is content. On a terminal it has been shown as it came.
	if !p.terminal && shown < len(turn.Message.Content) {
		if err := p.write(turn.Message.Content[shown:]); err != nil {
			return nil, err
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if turn.Stop == goinfer.StopCancelled {
		turn.Message.ToolCalls = nil // nobody will answer them
		if turn.Message.Content == "" && turn.Message.Reasoning == "" {
			// Two questions in a row are an error in many templates.
			c.q.Messages = c.q.Messages[:c.lastQuestion()]
			c.report(turn)
			return turn, nil
		}
	}
	c.q.Messages = append(c.q.Messages, turn.Message)
	c.q.After = turn
	c.report(turn)
	return turn, nil
}

// report says what there is to say about a turn.
func (c *conversation) report(turn *goinfer.ChatTurn) {
	for _, n := range turn.Notes {
		c.note("%s", n)
	}
	u := turn.Usage
	switch turn.Stop {
	case goinfer.StopContext:
		hint := ", --overflow drop-oldest goes on"
		if c.f.overflow != "stop" {
			hint = ""
		}
		note(c.cmd, "the context is full: %d tokens of the conversation and %d of the answer; -c makes it larger%s", u.Prompt, u.Generated, hint)
	case goinfer.StopLength:
		note(c.cmd, "the answer has reached -n %d tokens", u.Generated)
	}
	if !c.f.verbose {
		return
	}
	out := c.cmd.ErrOrStderr()
	if c.took > 0 {
		printFact(out, "loaded", "in %s", seconds(c.took))
		c.took = 0
	}
	printFact(out, "prompt", "%s, %d cached", rate(u.Prompt, u.Prompt-u.Cached, u.PromptTime), u.Cached)
	printFact(out, "answer", "%s", rate(u.Generated, max(0, u.Generated-1), u.GenerateTime))
	if turn.Reasoning > 0 {
		printFact(out, "thoughts", "%s", plural(turn.Reasoning, "token"))
	}
	why := string(turn.Stop)
	if turn.Stop == goinfer.StopString {
		why = "at " + quoted(turn.StopString)
	}
	printFact(out, "ended", "%s", why)
}

// printer writes the events of an answer.
type printer struct {
	out      io.Writer
	terminal bool
	colour   bool
	hide     bool
	musing   bool
	any      bool
	newline  bool
	text     *plainText
}

const (
	colourThought = "\x1b[2m"
	colourCall    = "\x1b[36m"
)

func (c *conversation) printer() *printer {
	out := c.cmd.OutOrStdout()
	p := &printer{out: out, terminal: isTerminal(out), hide: c.f.hide || !isTerminal(out), newline: true}
	p.colour = p.terminal && os.Getenv("NO_COLOR") == ""
	p.text = &plainText{out: out}
	return p
}

func (p *printer) event(e goinfer.ChatEvent) error {
	switch e.Kind {
	case goinfer.ChatReasoning:
		if p.hide {
			return nil
		}
		if !p.musing {
			p.musing = true
			if err := p.raw("Thinking…\n", colourThought); err != nil {
				return err
			}
		}
		return p.write(e.Text)
	case goinfer.ChatText:
		if err := p.endThought(); err != nil {
			return err
		}
		return p.write(e.Text)
	case goinfer.ChatCallBegin, goinfer.ChatCallArgs, goinfer.ChatCallEnd:
		return p.call(e)
	}
	return nil
}

// call shows a call on a terminal as it is made.
func (p *printer) call(e goinfer.ChatEvent) error {
	if !p.terminal {
		return nil
	}
	if err := p.endThought(); err != nil {
		return err
	}
	switch e.Kind {
	case goinfer.ChatCallBegin:
		if err := p.line(); err != nil {
			return err
		}
		if err := p.raw("", colourCall); err != nil {
			return err
		}
		return p.write(e.Name + "(")
	case goinfer.ChatCallArgs:
		return p.write(e.Text)
	}
	if err := p.write(")"); err != nil {
		return err
	}
	return p.raw("\n", "")
}

// raw writes what the command itself has to say, and switches to a colour; none means back.
func (p *printer) raw(s, colour string) error {
	if err := p.text.end(); err != nil {
		return err
	}
	if p.colour {
		if colour == "" {
			colour = colourOff
		}
		s = colour + s
	}
	if s != "" {
		p.newline = true
	}
	_, err := io.WriteString(p.out, s)
	return err
}

func (p *printer) endThought() error {
	if !p.musing {
		return nil
	}
	p.musing = false
	if err := p.line(); err != nil {
		return err
	}
	return p.raw("…done thinking.\n\n", "")
}

// line ends a line that was begun.
func (p *printer) line() error {
	if err := p.text.end(); err != nil || p.newline {
		return err
	}
	p.newline = true
	_, err := io.WriteString(p.out, "\n")
	return err
}

// write writes what the model made.
func (p *printer) write(s string) error {
	if s == "" {
		return nil
	}
	p.any, p.newline = true, s[len(s)-1] == '\n'
	if p.terminal {
		_, err := p.text.Write([]byte(s))
		return err
	}
	_, err := io.WriteString(p.out, s)
	return err
}

// end ends the answer with a line break.
func (p *printer) end() error {
	if err := p.endThought(); err != nil {
		return err
	}
	if err := p.line(); err != nil || !p.colour {
		return err
	}
	_, err := io.WriteString(p.out, colourOff)
	return err
}
