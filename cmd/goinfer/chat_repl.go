package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/goinfer/goinfer"
)

// repl asks for messages and answers them, until the user leaves. first, if given, is the first
// message.
func (c *conversation) repl(ctx context.Context, first string, given bool) error {
	in, ok := c.cmd.InOrStdin().(descriptor)
	if !ok {
		return fmt.Errorf("standard input is no terminal")
	}
	e := newEditor(in, c.cmd.OutOrStdout())
	if given {
		if err := c.turn(ctx, e, first); err != nil || c.f.single {
			return err
		}
	}
	if !given {
		fmt.Fprintln(c.cmd.ErrOrStderr(), "Type a message; /? lists the commands, Ctrl-D leaves.")
	}
	for {
		text, err := e.message(ctx, mainPrompt)
		switch {
		case errors.Is(err, io.EOF):
			fmt.Fprintln(c.cmd.OutOrStdout())
			return nil
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(c.cmd.ErrOrStderr(), "Ctrl-D or /bye leaves.")
			continue
		case err != nil:
			return err
		case strings.TrimSpace(text) == "":
			continue
		}
		if strings.HasPrefix(text, "/") && !strings.Contains(text, "\n") {
			leave, known, err := c.command(ctx, e, text)
			switch {
			case leave:
				return nil
			case err != nil:
				c.complain(err)
			}
			if known {
				continue
			}
		}
		if err := c.turn(ctx, e, text); err != nil {
			return err
		}
		if c.f.single {
			return nil
		}
	}
}

// complain prints an error that does not end the conversation.
func (c *conversation) complain(err error) {
	fmt.Fprintf(c.cmd.ErrOrStderr(), "goinfer: %s\n", printable(oneLine(err)))
}

// turn answers a message. Errors of a turn are printed, and take the message back.
func (c *conversation) turn(ctx context.Context, e *editor, text string) error {
	c.q.Messages = append(c.q.Messages, goinfer.ChatMessage{Role: "user", Content: text})
	return c.answer(ctx, e)
}

// answer has the last message answered, and the calls in the answer, until there are none. If that
// fails, the message is taken back with what came after it.
func (c *conversation) answer(ctx context.Context, e *editor) error {
	// A call that the flags demand is demanded once for a message: its result may be answered.
	defer func(choice string) { c.q.ToolChoice = choice }(c.q.ToolChoice)
	for {
		turn, err := c.interruptible(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			c.q.Messages = c.q.Messages[:c.lastQuestion()]
			c.complain(err)
			return nil
		}
		if turn.Stop == goinfer.StopCancelled && turn.Message.Content == "" && turn.Message.Reasoning == "" {
			fmt.Fprintln(c.cmd.ErrOrStderr(), "The message is taken back.")
		}
		calls := turn.Message.ToolCalls
		if turn.Stop == goinfer.StopCancelled || len(calls) == 0 {
			return nil
		}
		for _, call := range calls {
			result, err := e.message(ctx, "result of "+printable(call.Name)+"> ")
			if errors.Is(err, io.EOF) || errors.Is(err, errInterrupted) {
				c.q.Messages = c.q.Messages[:c.lastQuestion()]
				fmt.Fprintln(c.cmd.ErrOrStderr(), "The message and its calls are taken back.")
				return nil
			}
			if err != nil {
				return err
			}
			c.q.Messages = append(c.q.Messages, goinfer.ChatMessage{Role: "tool", Content: result, ToolCallID: call.ID, Name: call.Name})
		}
		c.q.ToolChoice = ""
	}
}

// interruptible is ask, which Ctrl-C ends.
func (c *conversation) interruptible(ctx context.Context) (*goinfer.ChatTurn, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return c.ask(ctx)
}

// lastQuestion is where the last message of the user's is, or the number of messages if there is
// none.
func (c *conversation) lastQuestion() int {
	for i := len(c.q.Messages) - 1; i >= 0; i-- {
		if c.q.Messages[i].Role == "user" {
			return i
		}
	}
	return len(c.q.Messages)
}

// retry takes the last answer back and asks for another one.
func (c *conversation) retry(ctx context.Context, e *editor) error {
	last := c.lastQuestion()
	if last == len(c.q.Messages) {
		return errors.New("/retry: there is no message yet")
	}
	c.q.Messages = c.q.Messages[:last+1]
	if !c.cmd.Flags().Changed("seed") { // else the answer would be the same
		if err := c.f.sampled(c.cmd, &c.q); err != nil {
			return err
		}
	}
	return c.answer(ctx, e)
}

// clear forgets the conversation but for the system message.
func (c *conversation) clear() {
	c.q.Messages = slices.Clip(slices.DeleteFunc(c.q.Messages, func(m goinfer.ChatMessage) bool { return m.Role != "system" }))
	c.q.After = nil
}
