package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/study/bench"
)

// quick are flags for a bench of tiny-dense that takes no time.
func quick(further ...string) []string {
	return append([]string{"bench", "-p", "6", "-n", "2", "-r", "2", "--no-probe"}, further...)
}

func TestBenchTable(t *testing.T) {
	out := ok(t, command(t, "", quick()...))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 6, out)
	require.Regexp(t, `^\| model +\| +size \| +params \| threads \| +test \| +t/s \| TTFT ms \| +peak RSS \|$`, strings.ReplaceAll(lines[0], "  TTFT", " TTFT"))
	require.Regexp(t, `^\| -+ \| -+: \|`, lines[1])
	require.Regexp(t, `^\| llama 5.77M Q8_0 +\| +5.9 MiB \| +5.77M \| +\d+ \| +pp6 \| +\d+\.\d\d ± \d+\.\d\d \| +\d+\.\d \| .* \|$`, lines[2])
	require.Regexp(t, `\| +tg2 \|`, lines[3])
	require.Regexp(t, `^build: \S+, kernels `, lines[5])
	require.Len(t, lines[1], len(lines[0]), "columns stand below each other")
	for _, l := range lines[1:4] {
		require.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"))
	}

	out = ok(t, command(t, "", quick("-b", "64", "-ub", "4,8", "-ctk", "f16,f32", "-d", "3", "-pg", "5,4", "tiny-moe")...))
	require.Equal(t, 12, strings.Count(out, " @ d3 |"), out)
	require.Regexp(t, `n_batch \| n_ubatch \| type_k`, out)
	require.Regexp(t, `\| +64 \| +8 \| f32 +\| +pp5\+tg4 @ d3 \|`, out)

	out = ok(t, command(t, "", quick("-m", "tiny-dense", "tiny-moe")...))
	for _, name := range []string{"tiny-dense", "tiny-moe"} {
		require.Equal(t, 2, strings.Count(out, "| "+name+" "), "models are told apart: %s", out)
	}

	out = ok(t, command(t, "", quick("-npp", "7", "-ntg", "3", "-npl", "1,2")...))
	require.Contains(t, out, "   PP |   TG |    B | N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |")
	require.Regexp(t, `\| +7 \| +3 \| +2 \| +20 \| +\d+\.\d{3} \| +\d+\.\d\d \|`, out)
}

func TestBenchLevels(t *testing.T) {
	out := ok(t, command(t, "", quick("--levels", "f16,q4_0", "tiny-dense", "stories260k")...))
	for _, name := range []string{"tiny-dense:f16", "tiny-dense:q4_0", "stories260k:f16", "stories260k:q4_0"} {
		require.Equal(t, 2, strings.Count(out, "| "+name+" "), out)
	}
	require.Contains(t, ok(t, command(t, "", quick("STORIES260K")...)), "| llama 260K Q5_0 (Q4_K_M) ", "what most of the weights are in comes first")
}

func TestBenchFormats(t *testing.T) {
	var rs []bench.Result
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", quick("-o", "json", "-t", "1,2")...))), &rs))
	require.Len(t, rs, 4)
	require.Equal(t, []int{6, 0, 1, 6, 2}, []int{rs[0].NPrompt, rs[0].NGen, rs[0].NThreads, rs[2].NPrompt, rs[2].NThreads})
	require.Equal(t, "tiny-dense", rs[0].ModelFilename)
	require.Len(t, rs[0].SamplesNs, 2)

	lines := strings.Split(strings.TrimSpace(ok(t, command(t, "", quick("-o", "jsonl")...))), "\n")
	require.Len(t, lines, 2)
	var r bench.Result
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &r))
	require.Equal(t, 2, r.NGen)
	require.Positive(t, r.GBs)

	rows, err := csv.NewReader(strings.NewReader(ok(t, command(t, "", quick("-o", "csv", "-pg", "6,2")...)))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "build_commit,cpu_info,backends,kernels,model_filename,model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,type_k,type_v,"+
		"n_prompt,n_gen,n_depth,n_parallel,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts,load_ns,ttft_ns,peak_rss,"+
		"prompt.avg_ts,prompt.stddev_ts,gen.avg_ts,gen.stddev_ts,read_gb_s,bandwidth_gb_s,bandwidth_fraction,int8_gops,fma_gflops,peak_fraction,load.processor,load.memory,"+
		"against.peer,against.build_commit,against.avg_ts,against.stddev_ts,against.ratio,against.low,against.high,"+
		"against.prompt.avg_ts,against.prompt.stddev_ts,against.prompt.ratio,against.prompt.low,against.prompt.high,"+
		"against.gen.avg_ts,against.gen.stddev_ts,against.gen.ratio,against.gen.low,against.gen.high", strings.Join(rows[0], ","))
	at := map[string]int{}
	for i, key := range rows[0] {
		at[key] = i
	}
	require.Equal(t, "6", rows[1][at["n_prompt"]])
	require.Empty(t, rows[1][at["read_gb_s"]], "a prompt alone has none")
	require.NotEmpty(t, rows[2][at["read_gb_s"]])
	require.Empty(t, rows[2][at["prompt.avg_ts"]])
	require.NotEmpty(t, rows[3][at["prompt.avg_ts"]])
	require.Empty(t, rows[3][at["against.ratio"]])

	stat := ok(t, command(t, "", quick("-o", "benchstat", "-t", "1", "-d", "4")...))
	require.Regexp(t, `^goos: `+runtime.GOOS+`\ngoarch: `+runtime.GOARCH+`\npkg: \S+\ncpu: .*\n`+
		`(BenchmarkModel/tiny-dense/pp6@d4-1\t6\t\d+ ns/op\t\d+\.\d+ tok/s(\t\S+ \S+)*\n){2}`+
		`(BenchmarkModel/tiny-dense/tg2@d4-1\t2\t\d+ ns/op\t\d+\.\d+ tok/s\t\S+ GB/s(\t\S+ \S+)*\n){2}$`, stat)

	two := command(t, "", quick("-o", "json", "-oe", "jsonl")...)
	require.Equal(t, 0, two.code)
	rs = nil
	require.NoError(t, json.Unmarshal([]byte(two.out), &rs))
	var first bench.Result
	require.NoError(t, json.Unmarshal([]byte(strings.Split(two.err, "\n")[0]), &first))
	require.Equal(t, first, rs[0])
}

// TestBenchEncoder: of a model that reads texts as a whole prompts are measured.
func TestBenchEncoder(t *testing.T) {
	bert := filepath.Join(shared.Dir(t), "conformance", "models", "bert", "model.gguf")
	r := command(t, "", "bench", "-p", "6,8", "-r", "2", "--no-probe", "--json", bert)
	require.Equal(t, "goinfer: note: "+bert+" reads texts as a whole and generates none: only prompts are measured\n", r.err)
	var rs []bench.Result
	require.NoError(t, json.Unmarshal([]byte(r.out), &rs))
	require.Len(t, rs, 2)
	require.Equal(t, []int{6, 8, 0}, []int{rs[0].NPrompt, rs[1].NPrompt, rs[1].NGen})
	require.Positive(t, rs[0].AvgTs)
	fault(t, command(t, "", "bench", "-p", "6", "-n", "2", "-r", "1", "--no-probe", bert), "tg2: the model reads texts as a whole, without a cache")
}

// TestBenchCache: weights that come faster than memory gives them are in a cache.
func TestBenchCache(t *testing.T) {
	f := benchFlags{}
	for _, c := range f.columns() {
		if c.name == "of bandwidth" {
			require.Equal(t, "in the cache", c.text(&bench.Result{BandwidthFraction: 1.76, BandwidthGBs: 10}))
			require.Equal(t, "76 % of 10.0", c.text(&bench.Result{BandwidthFraction: 0.76, BandwidthGBs: 10}))
		}
	}
}

func TestBenchProbe(t *testing.T) {
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("measures the machine for some seconds; GOINFER_LONG asks for it")
	}
	var rs []bench.Result
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "bench", "-p", "6", "-n", "2", "-r", "1", "-o", "json"))), &rs))
	require.Positive(t, rs[0].PeakFraction)
	require.Positive(t, rs[1].BandwidthFraction)
}

func TestBenchWrong(t *testing.T) {
	dir := t.TempDir()
	fault(t, command(t, "", quick("-n", "600")...), "tiny-dense: tg600 takes 600 positions, and the model was made for 512")
	fault(t, command(t, "", quick("-d", "510")...), "tiny-dense: pp6 @ d510 takes 516 positions, and the model was made for 512")
	fault(t, command(t, "", quick("-m", "tiny-moe", "-n", "600", "stories15m")...), "tiny-moe: tg600 takes 600 positions")
	fault(t, command(t, "", quick("nothing")...), `no model "nothing": looked for a file or a folder of that name, a built-in model (tiny-dense, tiny-moe), a downloaded model (goinfer list), a known shape (goinfer synth --list)`)
	fault(t, command(t, "", quick(filepath.Join(dir, "no.gguf"))...), "no.gguf: ")
	wrong(t, command(t, "", quick("-t", "2000")...), "goinfer: -t, --threads: want 1 to 1024, found 2000\n")
	fault(t, command(t, "", quick("--against", filepath.Join(dir, "no"))...), filepath.Join(dir, "no")+": ")
	fault(t, command(t, "", quick("--against", dir)...), "found a directory")

	for _, c := range []struct {
		args []string
		want string
	}{
		{quick("-p", "8-1"), `-p, --n-prompt: the range "8-1" ends before it begins`},
		{quick("-p", "8-9+0"), `the range "8-9+0" never ends`},
		{quick("-p", "0-9*2"), `the range "0-9*2" never ends`},
		{quick("-p", "1-100000"), "want at most 1000 numbers"},
		{quick("-p", "99999999999"), "the number 99999999999 is too large"},
		{quick("-t", "two"), `-t, --threads: want numbers or ranges`},
		{quick("-n", ""), "want numbers or ranges"},
		{quick("-n", "-5"), "want numbers or ranges"},
		{quick("-p", "0", "-n", "0"), "there is nothing to measure"},
		{[]string{"bench", "-p", "0", "-n", "0"}, "there is nothing to measure"},
		{quick("-pg", "5"), `--prompt-gen: want two numbers, such as 512,128, found "5"`},
		{quick("-pg", "0,0"), "want two numbers"},
		{quick("-ctk", "f16,q9"), "--cache-type-k: want f16, "},
		{quick("-o", "sql"), `-o, --out: want one of md, csv, json, jsonl, benchstat, found "sql"`},
		{quick("-r", "0"), "-r, --repetitions: want at least 1, found 0"},
		{quick("--delay", "-1"), "--delay: want at least 0"},
		{quick("--levels", "f16,q9"), `--levels: unknown file type "q9"`},
		{quick("-npl", "0"), "-npl: want at least 1 sequence"},
		{quick("-npl", "2", "-d", "5"), "-npl: sequences side by side have no depth"},
		{quick("-npl", "2", "-pg", "5,5"), "want -p and -n in place of -pg"},
	} {
		// The first use of a flag replaces its default, so that those of quick have to go.
		args := c.args
		if len(args) > 8 && (args[8] == "-p" || args[8] == "-n" || args[8] == "-r") {
			args = append([]string{"bench"}, args[8:]...)
		}
		wrong(t, command(t, "", args...), c.want)
	}
	if runtime.GOOS != "windows" {
		peer := filepath.Join(dir, "llama-bench")
		require.NoError(t, os.WriteFile(peer, []byte("#!/bin/sh\n"), 0o755))
		wrong(t, command(t, "", quick("--against", peer)...), "tiny-dense is in memory")
		wrong(t, command(t, "", quick("--against", peer, "--levels", "f16", filepath.Join("embedded", "tiny-dense-q8_0.gguf"))...), "is in memory")
	}
}

func TestBenchAgainst(t *testing.T) {
	if runtime.GOOS == "windows" || testing.Short() {
		t.Skip("runs a shell script")
	}
	peer := filepath.Join(t.TempDir(), "llama-bench")
	require.NoError(t, os.WriteFile(peer, []byte(`#!/bin/sh
echo '[{"build_commit":"abc123","n_prompt":6,"n_gen":0,"samples_ns":[6000000000]},{"build_commit":"abc123","n_prompt":0,"n_gen":2,"samples_ns":[8000000000]}]'
`), 0o755))
	args := quick("--against", peer, filepath.Join("embedded", "tiny-dense-q8_0.gguf"))
	out := ok(t, command(t, "", args...))
	require.Regexp(t, `t/s \| +its t/s \| +ratio \|`, out)
	require.Regexp(t, `pp6 \| +[\d.]+ ± [\d.]+ \| +1\.00 ± 0\.00 \| +[\d.]+ \([\d.]+–[\d.]+\) \|`, out)
	require.Regexp(t, `tg2 \| +[\d.]+ ± [\d.]+ \| +0\.25 ± 0\.00 \| `, out)
	require.Contains(t, out, "against: "+peer+" abc123")

	var rs []bench.Result
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", append(args, "-o", "json")...))), &rs))
	require.Equal(t, 0.25, rs[1].Baseline.AvgTs)
	require.Greater(t, rs[1].Baseline.High, rs[1].Baseline.Low)
	require.InEpsilon(t, math.Sqrt(rs[1].SamplesTs[0]*rs[1].SamplesTs[1])/0.25, rs[1].Baseline.Ratio.Ratio, 1e-9)

	stat := ok(t, command(t, "", append(args, "-o", "benchstat")...))
	require.Contains(t, stat, "BenchmarkModel/tiny-dense-q8_0.gguf/pp6/engine=goinfer-")
	require.Contains(t, stat, "BenchmarkModel/tiny-dense-q8_0.gguf/tg2/engine=llama-bench-")

	require.NoError(t, os.WriteFile(peer, []byte("#!/bin/sh\necho out of luck >&2\nexit 1\n"), 0o755))
	fault(t, command(t, "", args...), "llama-bench: exit status 1: out of luck")
}

// Interrupted, it leaves whole JSON after.
func TestBenchInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals cannot be sent to a process here")
	}
	for _, args := range [][]string{{"-p", "6", "-n", "500", "-r", "300", "-o", "json", "--no-probe"}, {"-p", "6", "-n", "500", "-r", "1000", "-o", "jsonl"}} {
		cmd := process(t, append([]string{"bench", "-pg", "5,5"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill() })
		first := make([]byte, 1)
		if args[6] == "json" {
			_, err = io.ReadFull(pipe, first) // the prompts are done
			require.NoError(t, err)
		} else {
			time.Sleep(300 * time.Millisecond)
			first = nil
		}
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		sent := time.Now()
		rest, err := io.ReadAll(pipe)
		require.NoError(t, err)
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		require.Equal(t, exitInterrupted, exit.ExitCode())
		require.Empty(t, stderr.String())
		require.Less(t, time.Since(sent), 10*time.Second)
		if out := append(first, rest...); len(out) > 0 {
			var rs []bench.Result
			require.NoError(t, json.Unmarshal(out, &rs), "%s", out)
			require.Len(t, rs, 1)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string][]int{
		"5": {5}, "1,2": {1, 2}, "0": {0}, "1-4": {1, 2, 3, 4}, "1-8+3": {1, 4, 7}, "128-1024*2": {128, 256, 512, 1024}, "7,1-3,9": {7, 1, 2, 3, 9}, "4-4": {4}, "0-0*0": {0},
	} {
		n := numbers{values: []int{99}}
		require.NoError(t, n.Set(in))
		require.Equal(t, want, n.values, in)
	}
	n := numbers{values: []int{99}}
	require.NoError(t, n.Set("1"))
	require.NoError(t, n.Set("2,3"))
	require.Equal(t, []int{1, 2, 3}, n.values)
	require.Equal(t, "1,2,3", n.String())
}
