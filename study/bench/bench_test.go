package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/size"
)

// load makes a small model with random weights.
func load(t *testing.T, shape, fileType string) *Model {
	t.Helper()
	s, err := Open(source.Shape(shape))
	require.NoError(t, err)
	m, err := s.Load(t.Context(), fileType, nil)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func settings() Settings { return Settings{Threads: 2, Batch: DefaultBatch, Ubatch: 16} }

func TestName(t *testing.T) {
	for want, test := range map[string]Test{
		"pp512": {Prompt: 512}, "tg128": {Gen: 128}, "pp512+tg128": {Prompt: 512, Gen: 128}, "tg128 @ d4096": {Gen: 128, Depth: 4096}, "pp8 x4": {Prompt: 8, Parallel: 4},
	} {
		require.Equal(t, want, test.String())
	}
}

func TestCheck(t *testing.T) {
	s := &Subject{Name: "m", NCtx: 100}
	for _, c := range []struct {
		test Test
		want string
	}{
		{Test{Prompt: 100}, ""},
		{Test{Gen: 100}, ""},
		{Test{Prompt: 50, Gen: 50, Parallel: 8}, ""},
		{Test{Prompt: 101}, "m: pp101 takes 101 positions, and the model was made for 100"},
		{Test{Gen: 20, Depth: 81}, "m: tg20 @ d81 takes 101 positions, and the model was made for 100"},
		{Test{Prompt: 60, Gen: 60, Parallel: 2}, "m: pp60+tg60 x2 takes 120 positions, and the model was made for 100"},
		{Test{}, "there is nothing to do: want prompt tokens or tokens to generate"},
		{Test{Depth: 5}, "there is nothing to do: want prompt tokens or tokens to generate"},
		{Test{Gen: 1, Depth: 1, Parallel: 2}, "tg1 @ d1 x2: several sequences have no depth but their prompts"},
		{Test{Prompt: -1}, "Prompt: want 0 to 16777216, found -1"},
		{Test{Gen: 1, Parallel: 2000}, "Parallel: want 0 to 1024, found 2000"},
	} {
		err := Case{settings(), c.test}.Check(s)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
	require.EqualError(t, Case{Settings{Batch: 1, Ubatch: 1}, Test{Gen: 1}}.Check(s), "Threads: want 1 to 1024, found 0")
	require.EqualError(t, Case{Settings{Threads: 1, Ubatch: 1}, Test{Gen: 1}}.Check(s), "Batch: want 1 to 16777216, found 0")
}

// What is read and calculated for a token, counted by hand.
func TestWork(t *testing.T) {
	// stories260k: 512 tokens, 64 wide, 5 layers, 172 inside, 4 of 8 heads for keys and values, the
	// head tied; everything in Q8_0 but 172 is no whole number of blocks.
	const layer = 64*64*2 + 64*32*2 + 64*172*2
	m := load(t, "stories260k", "q8_0")
	require.EqualValues(t, 5*layer, m.work.Int8)
	require.EqualValues(t, 5*64*172, m.work.Float, "rows of 172 stay in F16")
	require.EqualValues(t, 64*512, m.work.Head)
	require.True(t, m.work.HeadInt8)
	require.False(t, m.work.Experts)
	require.EqualValues(t, (5*layer+64*512)/32*34+5*64*172*2+11*64*4, m.work.ReadBytes)
	int8, fma := m.work.Ops(10, 3)
	require.Equal(t, 2.0*3*(10*5*layer+64*512), int8)
	require.Equal(t, 2.0*3*10*5*64*172, fma)

	// tiny-moe: 4096 tokens, 256 wide, 4 layers, 2 of 8 experts of 512.
	const attn, expert = 256*256*2 + 256*128*2, 3 * 256 * 512
	m = load(t, "tiny-moe", "f16")
	require.EqualValues(t, 4*(attn+2*expert+256*8), m.work.Float)
	require.Zero(t, m.work.Int8)
	require.True(t, m.work.Experts)
	require.EqualValues(t, 256*4096, m.work.Head)
	require.EqualValues(t, 2*(4*(attn+2*expert)+256*4096)+4*(4*256*8+9*256), m.work.ReadBytes)
	res, err := (&Runner{Repetitions: 1}).Run(t.Context(), m, Case{settings(), Test{Gen: 2, Parallel: 2}})
	require.NoError(t, err)
	require.Zero(t, res.GBs, "which experts two sequences choose together is not known")
}

func TestRun(t *testing.T) {
	m := load(t, "stories260k", "q8_0")
	require.Equal(t, "stories260k:q8_0", m.Name)
	require.Equal(t, 512, m.NCtx)
	for _, test := range []Test{
		{Prompt: 40}, {Gen: 5}, {Prompt: 20, Gen: 3}, {Prompt: 7, Depth: 50}, {Gen: 3, Depth: 50}, {Gen: 512}, {Prompt: 512},
		{Prompt: 9, Gen: 4, Parallel: 1}, {Prompt: 9, Gen: 1, Parallel: 5}, {Prompt: 9, Parallel: 3}, {Gen: 6, Parallel: 3},
	} {
		if testing.Short() && test.positions() > 100 {
			continue
		}
		steps := 0
		r := Runner{Repetitions: 3, Warmup: true, Step: func() { steps++ }}
		res, err := r.Run(t.Context(), m, Case{settings(), test})
		require.NoError(t, err, test)
		require.Equal(t, 3, steps)
		require.Equal(t, test, res.Test())
		require.Equal(t, [4]int{test.Prompt, test.Gen, test.Depth, max(1, test.Parallel)}, [4]int{res.NPrompt, res.NGen, res.NDepth, res.NParallel})
		require.Len(t, res.SamplesNs, 3)
		require.Len(t, res.SamplesTs, 3)
		for i, ns := range res.SamplesNs {
			require.InEpsilon(t, float64(test.tokens())/(float64(ns)/1e9), res.SamplesTs[i], 1e-6, test)
		}
		require.InEpsilon(t, mean(res.SamplesTs), res.AvgTs, 1e-9)
		require.Equal(t, deviation(res.SamplesTs), res.StddevTs)
		require.Positive(t, res.FirstNs)
		require.Positive(t, res.LoadNs)
		both := test.Prompt > 0 && test.Gen > 0
		require.Equal(t, test.Prompt > 0 && (both || test.Parallel > 0), res.Prompt != nil, test)
		require.Equal(t, test.Gen > 0 && (both || test.Parallel > 0), res.Gen != nil, test)
		if both {
			require.Equal(t, res.SamplesNs[0], res.Prompt.SamplesNs[0]+res.Gen.SamplesNs[0])
		}
		require.Equal(t, test.Gen > 0, res.GBs > 0)
		require.Zero(t, res.BandwidthFraction, "nothing was probed")
		require.Zero(t, res.PeakFraction)
		require.Nil(t, res.Baseline)
		_, err = time.Parse(time.RFC3339, res.TestTime)
		require.NoError(t, err)
	}
}

// The fractions follow from what was probed in the same run.
func TestProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the machine for some seconds")
	}
	m := load(t, "stories260k", "q8_0")
	r := Runner{Repetitions: 1, Probe: true}
	res, err := r.Run(t.Context(), m, Case{settings(), Test{Prompt: 30, Gen: 5}})
	require.NoError(t, err)
	require.InEpsilon(t, res.GBs/res.BandwidthGBs, res.BandwidthFraction, 1e-9)
	require.InEpsilon(t, float64(m.work.ReadBytes)*5/float64(res.Gen.SamplesNs[0]), res.GBs, 1e-6)
	int8, fma := m.work.Ops(30, 1)
	require.InEpsilon(t, (int8/res.Int8GOps+fma/res.FMAGFlops)/float64(res.Prompt.SamplesNs[0]), res.PeakFraction, 1e-6)
}

func TestRunFaults(t *testing.T) {
	m := load(t, "stories260k", "q8_0")
	_, err := (&Runner{}).Run(t.Context(), m, Case{settings(), Test{Gen: 1}})
	require.EqualError(t, err, "Repetitions: want at least 1, found 0")
	_, err = (&Runner{Repetitions: 1}).Run(t.Context(), m, Case{settings(), Test{Gen: 513}})
	require.ErrorContains(t, err, "513 positions")

	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	_, err = (&Runner{Repetitions: 1}).Run(ctx, m, Case{settings(), Test{Gen: 1}})
	require.ErrorIs(t, err, stop)

	ctx, cancel = context.WithCancelCause(t.Context())
	r := &Runner{Repetitions: 1000, Step: func() { cancel(stop) }}
	_, err = r.Run(ctx, m, Case{settings(), Test{Prompt: 10, Gen: 300}})
	require.ErrorIs(t, err, stop)
}

func TestSources(t *testing.T) {
	_, err := Open(source.Shape("nothing"))
	require.ErrorContains(t, err, `no shape "nothing"`)
	_, err = Open(source.Bytes("rubbish", []byte("GGUF")))
	require.ErrorIs(t, err, goinfer.ErrFormat)
	require.ErrorContains(t, CheckType("q9"), `"q9"`)
	require.NoError(t, CheckType("nvfp4"))

	shape, err := size.FindShape("stories260k")
	require.NoError(t, err)
	w, err := shape.Random(t.Context(), size.RandomOptions{Type: "f16"})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, w.WriteFile(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, open := range []func() (*source.Source, error){func() (*source.Source, error) { return source.Path(path) }, func() (*source.Source, error) { return source.Bytes(path, data), nil }} {
		src, err := open()
		require.NoError(t, err)
		s, err := Open(src)
		require.NoError(t, err)
		require.Equal(t, 512, s.NCtx)
		asIs, err := s.Load(t.Context(), "", nil)
		require.NoError(t, err)
		require.Equal(t, path, asIs.Name)
		require.Equal(t, s.Path, asIs.Path)
		require.Regexp(t, `^llama \d+K F16$`, asIs.Type)
		var done, total int64
		small, err := s.Load(t.Context(), "Q4_0", func(d, all int64) { done, total = d, all })
		require.NoError(t, err)
		require.Equal(t, done, total)
		require.Positive(t, total)
		require.Equal(t, path+":q4_0", small.Name)
		require.Empty(t, small.Path)
		require.Regexp(t, `^llama \d+K Q4_0$`, small.Type)
		require.Less(t, small.Size, asIs.Size)
		require.Equal(t, asIs.Params, small.Params)
		_, err = (&Runner{Repetitions: 1}).Run(t.Context(), small, Case{settings(), Test{Prompt: 5, Gen: 2}})
		require.NoError(t, err)
		_, err = s.Load(t.Context(), "q9", nil)
		require.ErrorContains(t, err, `"q9"`)
	}
	s, err := Open(source.Shape("STORIES260K"))
	require.NoError(t, err)
	m, err := s.Load(t.Context(), "", nil)
	require.NoError(t, err)
	require.Equal(t, "stories260k:q4_k_m", m.Name)
}

// fakeBaseline writes a script that appends its arguments to a file and prints its output.
func fakeBaseline(t *testing.T, dir, name, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" || testing.Short() {
		t.Skip("runs a shell script")
	}
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return path
}

func TestPeer(t *testing.T) {
	dir := t.TempDir()
	path := fakeBaseline(t, dir, benchName, `echo "$@" >>"`+dir+`/args"; touch left-behind
echo noise >&2
cat <<END
[ { "build_commit": "abc", "n_prompt": 6, "n_gen": 0, "n_depth": 0, "avg_ns": 2, "samples_ns": [ 2000000000 ] },
  { "build_commit": "abc", "n_prompt": 6, "n_gen": 2, "samples_ns": [ 4000000000 ] } ]
END
`)
	fakeBaseline(t, dir, batchedName, `echo "$@" >>"`+dir+`/args"
echo "|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |" >&2
echo "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|" >&2
echo "|     6 |      2 |    3 |     24 |    9.000 |     2.00 |   12.000 |     0.50 |   21.000 |     1.14 |" >&2
`)
	file := modelFile(t)
	src, err := source.Path(file)
	require.NoError(t, err)
	s, err := Open(src)
	require.NoError(t, err)
	m, err := s.Load(t.Context(), "", nil)
	require.NoError(t, err)
	for _, program := range []string{path, filepath.Join(dir, batchedName)} {
		baseline, err := NewBaseline(program)
		require.NoError(t, err)
		r := Runner{Repetitions: 2, Baseline: baseline}
		res, err := r.Run(t.Context(), m, Case{settings(), Test{Prompt: 6}})
		require.NoError(t, err)
		a := res.Baseline
		require.Equal(t, path, a.Program)
		require.Equal(t, "abc", a.BuildCommit)
		require.Equal(t, []int64{2e9, 2e9}, a.SamplesNs)
		require.Equal(t, []float64{3, 3}, a.SamplesTs)
		require.Equal(t, 3.0, a.AvgTs)
		require.Equal(t, RatioOf(res.SamplesTs, []float64{3, 3}), a.Ratio)
		require.Nil(t, a.Prompt)

		res, err = r.Run(t.Context(), m, Case{settings(), Test{Prompt: 6, Gen: 2}})
		require.NoError(t, err)
		require.Equal(t, []float64{2, 2}, res.Baseline.SamplesTs)

		res, err = r.Run(t.Context(), m, Case{settings(), Test{Prompt: 6, Gen: 2, Parallel: 3}})
		require.NoError(t, err)
		a = res.Baseline
		require.Equal(t, filepath.Join(dir, batchedName), a.Program)
		require.Equal(t, []int64{9e9, 9e9}, a.Prompt.SamplesNs)
		require.Equal(t, []int64{12e9, 12e9}, a.Gen.SamplesNs)
		require.Equal(t, []int64{21e9, 21e9}, a.SamplesNs)
		require.Equal(t, RatioOf(res.Gen.SamplesTs, []float64{0.5, 0.5}), a.Gen.Ratio)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	one := "-m " + file + " -t 2 -b 2048 -ub 16 "
	once := fmt.Sprintf("%[1]s-r 1 -o json -p 6 -n 0\n%[1]s-r 1 -o json -p 6 -n 0\n%[1]s-r 1 -o json -p 0 -n 0 -pg 6,2\n%[1]s-r 1 -o json -p 0 -n 0 -pg 6,2\n%[1]s-c 24 -npp 6 -ntg 2 -npl 3\n%[1]s-c 24 -npp 6 -ntg 2 -npl 3\n", one)
	require.Equal(t, once+once, string(args))
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		require.NotEqual(t, "left-behind", e.Name())
	}
}

func TestArguments(t *testing.T) {
	c := Case{Settings{Threads: 1, Batch: 64, Ubatch: 32, K: goinfer.CacheF32, V: goinfer.CacheF32}, Test{Gen: 9, Depth: 100}}
	require.Equal(t, []string{"-m", "x", "-t", "1", "-b", "64", "-ub", "32", "-ctk", "f32", "-ctv", "f32", "-r", "1", "-o", "json", "-d", "100", "-p", "0", "-n", "9"}, arguments("x", c))
}

func TestPeerFaults(t *testing.T) {
	dir := t.TempDir()
	_, err := NewBaseline(filepath.Join(dir, "no"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = NewBaseline(dir)
	require.ErrorContains(t, err, "want the program llama-bench, found a directory")

	file := modelFile(t)
	src, err := source.Path(file)
	require.NoError(t, err)
	s, err := Open(src)
	require.NoError(t, err)
	m, err := s.Load(t.Context(), "", nil)
	require.NoError(t, err)
	c := Case{settings(), Test{Gen: 1}}
	for script, want := range map[string]string{
		"echo one >&2; echo two >&2; exit 3": "llama-bench: exit status 3: two",
		"echo hello":                         `llama-bench: want the JSON of llama-bench, found "hello\n"`,
		"echo '[]'":                          `want one sample of tg1, found "[]\n"`,
		`echo '[{"n_prompt":0,"n_gen":2,"samples_ns":[5]}]'`:                      "want one sample of tg1",
		`echo '[{"n_prompt":0,"n_gen":1,"samples_ns":[]}]'`:                       "want one sample of tg1",
		`echo '[{"n_prompt":0,"n_gen":1,"samples_ns":[-7]}]'`:                     "want one sample of tg1",
		`echo '[{"n_prompt":0,"n_gen":1,"n_depth":4,"samples_ns":[1000000000]}]'`: "want one sample of tg1",
	} {
		baseline, err := NewBaseline(fakeBaseline(t, dir, benchName, script))
		require.NoError(t, err)
		_, err = (&Runner{Repetitions: 1, Baseline: baseline}).Run(t.Context(), m, c)
		require.ErrorContains(t, err, want)
		_, err = (&Runner{Repetitions: 1, Baseline: baseline}).Run(t.Context(), m, Case{settings(), Test{Gen: 1, Parallel: 2}})
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, batchedName)
	}
	baseline, err := NewBaseline(fakeBaseline(t, dir, benchName, "exec sleep 60"))
	require.NoError(t, err)
	_, err = (&Runner{Repetitions: 1, Baseline: baseline}).Run(t.Context(), load(t, "stories260k", "f16"), c)
	require.EqualError(t, err, "stories260k:f16 is in memory: a baseline is compared on files")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = (&Runner{Repetitions: 1, Baseline: baseline}).Run(ctx, m, c)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 30*time.Second)
}

func TestParseBatched(t *testing.T) {
	for _, out := range []string{"", "| PP |", "|1|2|3|", "| 6 | 2 | 3 | 24 | 9 | 0 | 12 | 0.5 | 21 | 1 |", "| 6 | 2 | 3 | 24 | 9 | nan | 12 | 0.5 | 21 | 1 |", "| 6 | 2 | 4 | 24 | 9 | 2 | 12 | 0.5 | 21 | 1 |"} {
		_, err := parseBatched([]byte(out), Test{Prompt: 6, Gen: 2, Parallel: 3})
		require.ErrorContains(t, err, "want a result of pp6+tg2 x3", out)
	}
	s, err := parseBatched([]byte("| 0 | 2 | 3 | 6 | 0 | 0 | 12 | 0.5 | 21 | 1 |\n"), Test{Gen: 2, Parallel: 3})
	require.NoError(t, err)
	require.Equal(t, baselineSample{total: 12 * time.Second, gen: 12 * time.Second}, s)
}

// modelFile writes a small model.
func modelFile(t *testing.T) string {
	t.Helper()
	shape, err := size.FindShape("stories260k")
	require.NoError(t, err)
	w, err := shape.Random(t.Context(), size.RandomOptions{Type: "q8_0"})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, w.WriteFile(path))
	return path
}

// The keys are those of llama-bench, and some more: whoever reads them relies on it.
func TestKeys(t *testing.T) {
	r := Result{Prompt: &Phase{}, Gen: &Phase{}, GBs: 1, BandwidthGBs: 1, BandwidthFraction: 1, Int8GOps: 1, FMAGFlops: 1, PeakFraction: 1,
		Baseline: &BaselineResult{BuildCommit: "x", Ratio: Ratio{1, 1, 1}, Prompt: &BaselinePhase{}, Gen: &BaselinePhase{}}}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	const phase = `{"avg_ts":0,"stddev_ts":0,"samples_ns":null,"samples_ts":null`
	require.Equal(t, `{"build_commit":"","cpu_info":"","backends":"","kernels":"","model_filename":"","model_type":"","model_size":0,"model_n_params":0,`+
		`"n_batch":0,"n_ubatch":0,"n_threads":0,"type_k":"","type_v":"","n_prompt":0,"n_gen":0,"n_depth":0,"n_parallel":0,"test_time":"",`+
		`"avg_ns":0,"stddev_ns":0,"avg_ts":0,"stddev_ts":0,"samples_ns":null,"samples_ts":null,"load_ns":0,"ttft_ns":0,"peak_rss":0,`+
		`"prompt":`+phase+`},"gen":`+phase+`},`+
		`"read_gb_s":1,"bandwidth_gb_s":1,"bandwidth_fraction":1,"int8_gops":1,"fma_gflops":1,"peak_fraction":1,"load":{"processor":0,"memory":0},`+
		`"against":{"peer":"","build_commit":"x",`+phase[1:]+`,"ratio":1,"low":1,"high":1,"prompt":`+phase+`,"ratio":0},"gen":`+phase+`,"ratio":0}}}`, string(data))
}
