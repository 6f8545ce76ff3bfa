package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const sun = "The sun rises in the"

func TestRun(t *testing.T) {
	const want = " east and sets in"
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(sun+"\r\n"), 0o644))
	model := filepath.Join("embedded", "tiny-dense-q8_0.gguf")
	for name, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"argument":       {"", []string{sun}},
		"model, prompt":  {"", []string{"tiny-dense", sun}},
		"path, prompt":   {"", []string{model, sun}},
		"-m":             {"", []string{"-m", model, sun}},
		"-m -p":          {"", []string{"-m", "tiny-dense", "-p", sun}},
		"-p, model":      {"", []string{"-p", sun, "tiny-dense"}},
		"-f":             {"", []string{"-f", prompt}},
		"-f -":           {sun, []string{"-f", "-", "tiny-dense"}},
		"stdin":          {sun, nil},
		"stdin, line":    {sun + "\n", nil},
		"stdin, model":   {sun, []string{"tiny-dense"}},
		"stdin not read": {"Once upon a time", []string{sun}},
		"escapes":        {"", []string{"-e", `The\x20sun rises in\u0020the`}},
		"--":             {"", []string{"--", sun}},
		"threads":        {"", []string{"-t", "1", sun}},
		"batch":          {"", []string{"-ub", "1", sun}},
		"small batch":    {"", []string{"-b", "2", sun}},
		"no mmap":        {"", []string{model, sun, "--no-mmap"}},
		"exact":          {"", []string{sun, "--exact", "-ctk", "f32", "-ctv=f32"}},
		"llama.cpp":      {"", []string{"-fa", "on", "--no-display-prompt", "-no-cnv", "--color", "-st", "--simple-io", "-c", "0", "-s", "1", "-lm", "none", "-np", "1", "-ngl", "auto", "-p", sun}},
		"top-k 1":        {"", []string{"--top-k", "1", "--temp", "2", sun}},
		"top-p 0":        {"", []string{"--top-p", "0", "--temp", "2", sun}},
		"seed":           {"", []string{"-s", "7", sun}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"run", "-n", "4"}
			if !strings.Contains(strings.Join(c.args, " "), "--temp") {
				args = append(args, "--temp", "0")
			}
			require.Equal(t, want, ok(t, command(t, c.stdin, append(args, c.args...)...)))
		})
	}
	require.Equal(t, " east.\n", ok(t, command(t, "", "run", "tiny-moe", "--temp", "0", sun, "-n", "3")))
}

func TestRunEnds(t *testing.T) {
	greedy := func(args ...string) result { return command(t, "", append([]string{"run", "--temp", "0"}, args...)...) }
	require.Equal(t, " Paris", ok(t, greedy("The capital of France is", "--stop", ".")))
	require.Equal(t, " Paris", ok(t, greedy("The capital of France is", "-r", "never", "-r", ".")))
	require.Equal(t, " east and sets in the west.", ok(t, greedy(sun, "-e", "--reverse-prompt", `\n`)))
	question := "<|user|>\nWhat is the capital of France?<|end|>\n<|assistant|>\n"
	require.Equal(t, "It is Paris.", ok(t, greedy(question)))
	require.Equal(t, "It is Paris.<|end|>", strings.TrimSpace(ok(t, greedy(question, "--ignore-eos", "--special", "-n", "8"))))
	require.Empty(t, ok(t, greedy(sun, "-n", "0")))

	r := greedy(sun, "-c", "9")
	require.Equal(t, result{0, " east and", "goinfer: note: the context is full: 7 tokens of the prompt and 2 generated; -c makes it larger\n"}, r)
	fault(t, greedy(sun, "-c", "6"), "the prompt has 7 tokens, the context 6")
	r = greedy(sun, "-c", "600", "-n", "1")
	require.Equal(t, result{0, " east", "goinfer: note: a context of 600 is more than the 512 positions the model was made for\n"}, r)
	r = greedy(sun, "-c", "1000000000")
	fault(t, r, "tiny-dense: not enough memory: weights 5.9 MiB, cache of 1000000000 positions 2.8 TiB, together 2.8 TiB; available are ")
	require.Regexp(t, `; a context of about \d+ would fit\n$`, r.err)

	r = greedy("-n", "3") // standard input is empty
	require.Equal(t, result{0, ok(t, greedy("-n", "3", "-p", "")), "goinfer: note: the prompt is empty: the text begins from nothing\n"}, r)
	require.NotEmpty(t, r.out)
}

func TestRunSampling(t *testing.T) {
	sample := func(args ...string) string {
		return ok(t, command(t, "", append([]string{"run", "-n", "12", "Once upon a time"}, args...)...))
	}
	require.Equal(t, sample("-s", "5"), sample("--seed", "5"))
	require.Equal(t, sample("-s", "5"), sample("--seed", "5", "-t", "1", "-ub", "1"))
	differ := map[string]bool{}
	for seed := range 5 {
		differ[sample("-s", strconv.Itoa(seed))] = true
	}
	require.Greater(t, len(differ), 1)
	differ = map[string]bool{}
	for range 5 {
		differ[sample()] = true
	}
	require.Greater(t, len(differ), 1, "the seed is another one every time")
	// Every flag is taken.
	sample("--temperature", "0.7", "--top_k", "20", "--top-p", "0.9", "--min-p", "0.1", "--typical", "0.9", "--top-nsigma", "2", "--xtc-probability", "0.5", "--xtc-threshold", "0.2",
		"--dynatemp-range", "0.2", "--dynatemp-exp", "1.5", "--repeat-last-n", "32", "--repeat-penalty", "1.1", "--presence-penalty", "0.1", "--frequency-penalty", "0.1", "--dry-multiplier", "0.8",
		"--dry-base", "1.7", "--dry-allowed-length", "3", "--dry-penalty-last-n", "-1", "--dry-sequence-breaker", "none", "--logit-bias", "5+1", "-l", "17-1.5",
		"--samplers", "penalties;dry;top_k;typ_p;top_p;min_p;xtc;temperature")
	sample("--mirostat", "2", "--mirostat-lr", "0.2", "--mirostat-ent", "4")
	require.Equal(t, " sea.\n", ok(t, command(t, "", "run", "--temp", "0", "-n", "3", sun, "-l", "1879-inf")))
}

func TestRunWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"more than one PROMPT: --prompt and --file":                 {"-p", "a", "-f", "b"},
		"--tmp; did you mean --temp?":                               {"--tmp", "0", "a"},
		"no flag -x;":                                               {"-x", "a"},
		"--hf-repo: want OWNER/REPO":                                {"-hf", "a", "b"},
		"--load-mode: want mmap, mlock or none":                     {"-lm", "fast", "a"},
		"--threads: want at most 1024, found 5000":                  {"-t", "5000", "a"},
		"-m, --model: want a model, found nothing":                  {"-m", "", "a"},
		"-n, --predict wants a value":                               {"a", "-n"},
		`-n, --predict: want a whole number`:                        {"-n", "few", "a"},
		`--temp: want a number, found "hot"`:                        {"--temp", "hot", "a"},
		`--exact: want true or false`:                               {"--exact=perhaps", "a"},
		`--cache-type-k: want f16, f32, q8_0 or q4_0, found "q5_1"`: {"-ctk", "q5_1", "a"},
		"--top-p: want 0 to 1, found 2; --min-p: want 0":            {"--top-p", "2", "--min-p", "-1", "a"},
		`--samplers[1]: want`:                                       {"--samplers", "top_k;magic", "a"},
		`--logit-bias: want a token and a bias`:                     {"-l", "15", "a"},
		"-s, --seed: want":                                          {"-s", "-7", "a"},
		"-c, --ctx-size: want":                                      {"-c", "-1", "a"},
		"--ubatch-size: want at least 1, found 0":                   {"-ub", "0", "a"},
		"-b, --batch-size: want at least 1, found -2":               {"-b", "-2", "a"},
		"a stop string is empty":                                    {"-r", "", "a"},
		`"\\q" is no escape`:                                        {"-e", `a\q`},
	} {
		wrong(t, command(t, "", append([]string{"run"}, args...)...), want)
	}
	wrong(t, command(t, "", "run", "-l", "100000+1", "a"), "-l, --logit-bias: want ids below 4096, the size of the vocabulary, found 100000")
	fault(t, command(t, "", "run", "-f", filepath.Join(t.TempDir(), "no.txt")), "no.txt: ")
	fault(t, command(t, "", "run", "-f", t.TempDir()), "directory")
}

func TestRunVerbose(t *testing.T) {
	r := command(t, "", "run", "-v", "-s", "42", "-n", "5", sun)
	require.Equal(t, 0, r.code)
	require.Regexp(t, `^model       tiny-dense \(built in\), loaded in \d+\.\d+ s
memory      weights .+, cache .+ when full \(f16 keys, f16 values\), scratch .+
kernels     \w+.*
threads     \d+ \(.+\)
seed        42
\n?prompt      7 tokens in \d+\.\d+ s, \d+\.\d+ tokens/s
generation  5 tokens in \d+\.\d+ s, \d+\.\d+ tokens/s
ended       -n is reached
$`, r.err)
	r = command(t, "", "run", "-v", "--temp", "0", "-t", "1", "--exact", "-ctk", "f32", "-r", ".", "-s", "7", sun)
	for _, want := range []string{"(f32 keys, f16 values)", "kernels     go, in float32 (--exact)", "threads     1 (-t)", "seed        7, not used", "ended       a stop string"} {
		require.Contains(t, r.err, want)
	}
	r = command(t, "", "run", "-v", "--temp", "0", "<|user|>\nWhat is the capital of France?<|end|>\n<|assistant|>\n")
	require.Contains(t, r.err, "ended       end of generation, <|end|>")
	r = command(t, "", "run", "--temp", "0", "-n", "1", "-tb", "1", "-ngl", "99", sun)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.err, "one number of threads, 1,")
	require.Contains(t, r.err, "-ngl has no effect here\n")
}

// interrupted cancels a context once something was written.
type interrupted struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (w *interrupted) Write(b []byte) (int, error) {
	w.cancel()
	return w.Buffer.Write(b)
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &interrupted{cancel: cancel}
	var stderr bytes.Buffer
	code := run(ctx, []string{"run", "--temp", "0", "-v", sun}, strings.NewReader(""), out, &stderr)
	require.Equal(t, exitInterrupted, code)
	require.True(t, strings.HasPrefix(out.String(), " east"), out.String())
	require.Contains(t, stderr.String(), "ended       interrupted")

	// Before it began.
	r := commandContext(ctx, "", "run", "--temp", "0", sun)
	require.Equal(t, result{exitInterrupted, "", ""}, r)

	// While it reads a prompt that takes it many seconds.
	ctx, cancel = context.WithCancel(t.Context())
	began := time.Now()
	time.AfterFunc(200*time.Millisecond, cancel)
	r = commandContext(ctx, strings.Repeat(sun+" east. ", 5000), "run", "-v", "-c", "100000")
	require.Equal(t, exitInterrupted, r.code)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "ended       interrupted")
	require.Less(t, time.Since(began), 3*time.Second)

	// While it waits for a prompt.
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	in, w := io.Pipe()
	defer w.Close()
	stderr.Reset()
	require.Equal(t, exitInterrupted, run(ctx, []string{"run"}, in, io.Discard, &stderr))
	require.Empty(t, stderr.String())
}

// brokenPipe is a reader that has gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Err: syscall.EPIPE}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "out", Err: errors.New("disk full")}
}

func TestOutputFaults(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--temp", "0", sun}, {"tokens", sun}, {"tokens", "--ids", sun}, {"inspect"}, {"inspect", "--json"}, {"inspect", "--card"}, {"logits", "--ids", "1,2", "-o", "-"},
	} {
		var stderr bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), args, strings.NewReader(""), brokenPipe{}, &stderr), args)
		require.Empty(t, stderr.String())
		require.Equal(t, exitFault, run(t.Context(), args, strings.NewReader(""), fullDisk{}, &stderr), args)
		require.Equal(t, "goinfer: write out: disk full\n", stderr.String())
	}
}

// What is reported follows the text on a line of its own where both go to one file.
func TestOneFile(t *testing.T) {
	for want, args := range map[string][]string{
		" east and\ngoinfer: note: the context is full: 7 tokens of the prompt and 2 generated; -c makes it larger\n": {"-c", "9"},
		" east and": {"-n", "2"},
		" east and sets in the west.\nThe opposite": {"-n", "10"},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "both"))
		require.NoError(t, err)
		require.Equal(t, 0, run(t.Context(), append([]string{"run", "--temp", "0", sun}, args...), strings.NewReader(""), f, f))
		require.NoError(t, f.Close())
		got, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

// start runs the command as a process of its own and waits for its first bytes.
func start(t *testing.T, args ...string) (cmd *exec.Cmd, out *os.File, stderr *bytes.Buffer) {
	cmd = process(t, args...)
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	first := make([]byte, 5)
	_, err = io.ReadFull(pipe, first)
	require.NoError(t, err, stderr)
	require.Equal(t, " east", string(first))
	return cmd, pipe.(*os.File), stderr
}

// What was made before a signal is written, nothing else is, and the exit code reports.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals cannot be sent to a process here")
	}
	whole := command(t, "", "run", "--temp", "0", "--ignore-eos", "-n", "400", "-c", "100000", sun).out
	const before = " and sets in the west.\n"
	for s, code := range map[os.Signal]int{os.Interrupt: exitInterrupted, syscall.SIGTERM: exitTerminated} {
		cmd, out, stderr := start(t, "run", "--temp", "0", "--ignore-eos", "-c", "100000", sun)
		text := make([]byte, len(before))
		_, err := io.ReadFull(out, text)
		require.NoError(t, err)
		require.Equal(t, before, string(text), "text comes while more is made")
		require.NoError(t, cmd.Process.Signal(s))
		sent := time.Now()
		rest, err := io.ReadAll(out)
		require.NoError(t, err)
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		require.Equal(t, code, exit.ExitCode(), s)
		require.Less(t, time.Since(sent), 5*time.Second)
		after := strings.TrimPrefix(whole, " east"+before)
		n := min(len(after), len(rest))
		require.Equal(t, after[:n], string(rest[:n]), "what follows goes on with the text")
		require.Regexp(t, "^goinfer: note: a context of .*\n$", stderr.String())
	}
}

func TestClosedPipe(t *testing.T) {
	cmd, out, stderr := start(t, "run", "--temp", "0", "--ignore-eos", "-c", "100000", sun)
	require.NoError(t, out.Close())
	require.NoError(t, cmd.Wait())
	require.Regexp(t, "^goinfer: note: a context of .*\n$", stderr.String())
}
