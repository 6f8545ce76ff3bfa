package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// Baseline is another engine's llama-bench, and the llama-batched-bench in the same folder for
// several sequences.
type Baseline struct {
	bench, batched string
}

// The programs of a baseline.
const (
	benchName   = "llama-bench"
	batchedName = "llama-batched-bench"
)

// NewBaseline finds the programs of a baseline by the path of one of them.
func NewBaseline(path string) (*Baseline, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	case info.IsDir():
		return nil, fmt.Errorf("%s: want the program %s, found a directory", path, benchName)
	}
	b := &Baseline{bench: path, batched: path}
	dir, ext := filepath.Dir(path), filepath.Ext(path)
	if strings.Contains(filepath.Base(path), "batched") {
		b.bench = filepath.Join(dir, benchName+ext)
	} else {
		b.batched = filepath.Join(dir, batchedName+ext)
	}
	return b, nil
}

// program is the one that measures a test.
func (b *Baseline) program(t Test) string {
	if t.Parallel > 0 {
		return b.batched
	}
	return b.bench
}

// check says why the baseline cannot measure a case, if it cannot.
func (b *Baseline) check(m *Model, c Case) error {
	if m.Path == "" {
		return fmt.Errorf("%s is in memory: a baseline is compared on files", m.Name)
	}
	if program := b.program(c.Test); program != "" {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("%s: %w", program, errors.Unwrap(err))
		}
	}
	return nil
}

// baselineSample is what a baseline reported of one repetition; phases that it did not report
// separately are 0.
type baselineSample struct {
	total, prompt, gen time.Duration
	commit             string
}

// once has the baseline measure a case once, after a warm-up of its own.
func (b *Baseline) once(ctx context.Context, m *Model, c Case) (baselineSample, error) {
	program, err := filepath.Abs(b.program(c.Test))
	if err != nil {
		return baselineSample{}, err
	}
	model, err := filepath.Abs(m.Path)
	if err != nil {
		return baselineSample{}, err
	}
	// Some baselines leave a log where they run.
	dir, err := os.MkdirTemp("", "goinfer-bench-")
	if err != nil {
		return baselineSample{}, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, program, arguments(model, c)...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return baselineSample{}, fault.Cancelled(ctx)
	}
	if err != nil {
		return baselineSample{}, fmt.Errorf("%s: %w: %s", program, err, lastLine(stderr.Bytes()))
	}
	var s baselineSample
	if c.Parallel > 0 {
		// Programs differ in where the table goes.
		s, err = parseBatched(append(out.Bytes(), stderr.Bytes()...), c.Test)
	} else {
		s, err = parseBench(out.Bytes(), c.Test)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", program, err)
	}
	return s, nil
}

// arguments ask a baseline for a case.
func arguments(path string, c Case) []string {
	n := strconv.Itoa
	args := []string{"-m", path, "-t", n(c.Threads), "-b", n(c.Batch), "-ub", n(c.Ubatch)}
	if c.K != goinfer.CacheF16 {
		args = append(args, "-ctk", strings.ToLower(c.K.String()))
	}
	if c.V != goinfer.CacheF16 {
		args = append(args, "-ctv", strings.ToLower(c.V.String()))
	}
	if c.Parallel > 0 {
		return append(args, "-c", n(c.Parallel*c.positions()), "-npp", n(c.Prompt), "-ntg", n(c.Gen), "-npl", n(c.Parallel))
	}
	args = append(args, "-r", "1", "-o", "json")
	if c.Depth > 0 {
		args = append(args, "-d", n(c.Depth))
	}
	if c.Prompt > 0 && c.Gen > 0 {
		return append(args, "-p", "0", "-n", "0", "-pg", fmt.Sprintf("%d,%d", c.Prompt, c.Gen))
	}
	return append(args, "-p", n(c.Prompt), "-n", n(c.Gen))
}

// parseBench reads the output of llama-bench.
func parseBench(out []byte, t Test) (s baselineSample, err error) {
	var results []struct {
		BuildCommit string  `json:"build_commit"`
		NPrompt     int     `json:"n_prompt"`
		NGen        int     `json:"n_gen"`
		NDepth      int     `json:"n_depth"`
		SamplesNs   []int64 `json:"samples_ns"`
	}
	if err := json.Unmarshal(out, &results); err != nil {
		return s, fmt.Errorf("want the JSON of %s, found %q: %w", benchName, shorten(out), err)
	}
	for _, r := range results {
		if r.NPrompt == t.Prompt && r.NGen == t.Gen && r.NDepth == t.Depth && len(r.SamplesNs) == 1 && r.SamplesNs[0] > 0 {
			return baselineSample{total: time.Duration(r.SamplesNs[0]), commit: r.BuildCommit}, nil
		}
	}
	return s, fmt.Errorf("want one sample of %s, found %q", t, shorten(out))
}

// parseBatched reads the table of llama-batched-bench: PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, T,
// S. Times are in milliseconds, speeds have more digits.
func parseBatched(out []byte, t Test) (s baselineSample, err error) {
	for line := range strings.Lines(string(out)) {
		var row []float64
		for cell := range strings.SplitSeq(strings.Trim(line, "| \r\n"), "|") {
			v, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
			if err != nil {
				break
			}
			row = append(row, v)
		}
		if len(row) != 10 || int(row[0]) != t.Prompt || int(row[1]) != t.Gen || int(row[2]) != t.Parallel {
			continue
		}
		took := func(tokens int, speed float64) time.Duration {
			if tokens == 0 || !(speed > 0) {
				return 0
			}
			return time.Duration(float64(t.Parallel*tokens) / speed * 1e9)
		}
		s.prompt, s.gen = took(t.Prompt, row[5]), took(t.Gen, row[7])
		s.total = s.prompt + s.gen
		if (s.prompt > 0) == (t.Prompt > 0) && (s.gen > 0) == (t.Gen > 0) {
			return s, nil
		}
	}
	return s, fmt.Errorf("want a result of %s, found %q", t, shorten(out))
}

// shorten keeps what is quoted in an error short.
func shorten(b []byte) []byte { return b[:min(len(b), 200)] }

// lastLine is the last line of a program's output that is not empty.
func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(shorten(b[bytes.LastIndexByte(b, '\n')+1:]))
}
