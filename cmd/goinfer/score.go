package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	faults "github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/eval"
)

// scoreLines scores the continuations of --score, one line each.
func (f *perplexityFlags) scoreLines(cmd *cobra.Command, model string, opts modelOptions) error {
	if from := f.text.given(cmd); len(from) > 0 || f.base != "" || f.chunks != 0 {
		return usagef("--score goes neither with a text nor with --kl and --chunks")
	}
	in := cmd.InOrStdin()
	if f.score != "-" {
		file, err := os.Open(f.score)
		if err != nil {
			return faults.System(err)
		}
		defer file.Close()
		in = file
	}
	m, err := openNamed(cmd, model, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	hook, err := f.routing.hook(m)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	lines := json.NewDecoder(in)
	lines.DisallowUnknownFields()
	for n := 1; ; n++ {
		var line struct {
			Context      *string `json:"context"`
			Continuation *string `json:"continuation"`
		}
		_, err := await(cmd.Context(), func() (any, error) { return nil, lines.Decode(&line) })
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err == nil && (line.Context == nil || line.Continuation == nil) {
			err = errors.New(`want "context" and "continuation"`)
		}
		var s eval.Score
		if err == nil {
			s, err = eval.Continuation(cmd.Context(), m, *line.Context, *line.Continuation, hook)
		}
		if err == nil {
			err = json.NewEncoder(out).Encode(s)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: item %d: %w", f.score, n, err), out.Flush())
		}
	}
}
