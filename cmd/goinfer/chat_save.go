package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/disk"
	faults "github.com/goinfer/goinfer/internal/fault"
)

// savedChat is the first line of a file with a conversation; what the model's cache holds of it
// follows (goinfer.Model.SaveState).
type savedChat struct {
	Format   string                `json:"format"`
	Model    string                `json:"model"`
	Template string                `json:"template,omitempty"`
	Messages []goinfer.ChatMessage `json:"messages"`
	Turn     *goinfer.ChatTurn     `json:"turn,omitempty"`
}

const (
	savedFormat = "goinfer chat 1"
	maxSaved    = 256 << 20 // bytes of the first line
)

// save writes the conversation.
func (c *conversation) save(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("/save: want a FILE")
	}
	in := inputs{models: []string{c.source.Name()}, files: append(c.f.text.inputs(), c.f.tools, c.f.systemFile)}
	if err := in.refuse(c.cmd, path); err != nil {
		return err
	}
	line, err := json.Marshal(savedChat{savedFormat, c.source.Name(), c.q.Template, c.q.Messages, c.q.After})
	if err != nil {
		return err
	}
	kept := 0
	err = disk.Write(path, func(w io.Writer) error {
		if _, err := w.Write(append(line, '\n')); err != nil || c.q.After == nil {
			return err
		}
		kept, err = c.m.SaveState(ctx, w, c.q.After.Tokens())
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.cmd.ErrOrStderr(), "%s with %s computed are in %s.\n", plural(len(c.q.Messages), "message"), plural(kept, "token"), printable(path))
	return nil
}

// load goes on with a conversation that was written. If it fails, the one before stays.
func (c *conversation) load(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("/load: want a FILE")
	}
	f, err := os.Open(path)
	if err != nil {
		return faults.System(err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	line, err := readLine(r, maxSaved)
	if err != nil {
		return named(path, err)
	}
	var s savedChat
	if err := json.Unmarshal(line, &s); err != nil || s.Format != savedFormat {
		return fmt.Errorf("%s: want a conversation that /save wrote, found something else", path)
	}
	q := c.q
	q.Messages, q.After = s.Messages, nil
	loaded := 0
	switch _, err := r.Peek(1); {
	case s.Turn == nil || s.Turn.Prompt == nil:
	case s.Model != c.source.Name():
		note(c.cmd, "the conversation was with %s: it is computed again", s.Model)
	case err == nil:
		ids, err := c.m.LoadState(ctx, r)
		if errors.Is(err, goinfer.ErrState) {
			note(c.cmd, "what was computed is of no use here, and is computed again: %v", err)
			break
		}
		if err != nil {
			return named(path, err)
		}
		q.After, loaded = s.Turn, len(ids)
	default:
		q.After = s.Turn
	}
	if err := c.accepts(ctx, q); err != nil {
		return named(path, err)
	}
	c.q = q
	fmt.Fprintf(c.cmd.ErrOrStderr(), "%s with %s computed are read.\n", plural(len(q.Messages), "message"), plural(loaded, "token"))
	return nil
}

// readLine reads up to a line break, at most so many bytes.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line bytes.Buffer
	for {
		piece, err := r.ReadSlice('\n')
		line.Write(piece)
		switch {
		case err == nil:
			return line.Bytes(), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, errors.New("want a conversation that /save wrote, found something else")
		case line.Len() > most:
			return nil, fmt.Errorf("want a first line of at most %d bytes, found more", most)
		}
	}
}
