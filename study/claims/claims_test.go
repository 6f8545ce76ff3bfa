package claims

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/browser"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// TestThresholds: the figures that were once called "holds roughly" are refuted.
func TestThresholds(t *testing.T) {
	rows := Reading()
	for _, c := range []struct {
		key   string
		found float64
	}{
		{"time-linear", 0.50}, {"time-linear", 0.84}, {"cache-linear/context", 0.60}, {"bound/token", 0.6}, {"bound/prompt", 1.9}, {"spread/10", 0.26}, {"balance", 0.45}, {"cache-70b", 101},
		{"speed-of-experts", 1.43}, {"slower-70b", 10.5}, {"bound/moe", 0.9}, {"touched-by-32", 0.51}, {"loss/q4_k_m", 0.06}, {"trained", 9}, {"fits/7b-13b", 1.2},
	} {
		v, _ := rows[c.key].Limit.Judge(c.found, 0.001)
		require.Equal(t, Refuted, v, "%+v", c)
	}
}

// beyond and within are figures on both sides of a limit, and near it.
func beyond(l Limit) []float64 {
	switch {
	case l.kind == exact:
		return []float64{l.Low + 1, l.Low - 1}
	case l.kind == linear:
		return []float64{0.9499, 0, -1}
	case l.kind == single:
		return []float64{l.Low * 2.001, l.Low / 2.001, -l.Low, 0}
	}
	var x []float64
	step := func(v float64) float64 { return max(1e-9, math.Abs(v)*1e-6) }
	if !math.IsInf(l.Low, 0) {
		x = append(x, l.Low-step(l.Low))
	}
	if !math.IsInf(l.High, 0) {
		x = append(x, l.High+step(l.High))
	}
	return x
}

func within(l Limit) []float64 {
	switch {
	case l.kind == exact:
		return []float64{l.Low}
	case l.kind == linear:
		return []float64{0.98, 1}
	case l.kind == single:
		return []float64{l.Low, l.Low * 1.0799, l.Low / 1.0799}
	}
	return slices.DeleteFunc([]float64{l.Low, l.High}, func(v float64) bool { return math.IsInf(v, 0) })
}

// TestEveryRow feeds every row figures just beyond its limit and just within.
func TestEveryRow(t *testing.T) {
	rows := Reading()
	require.Len(t, rows, len(articleRows), "no key stands twice")
	for key, row := range rows {
		try := func(found, err float64) Verdict {
			c := &Claim{reported: rows, again: "goinfer claims"}
			c.add(key, "what", foundOf(found, err))
			require.Len(t, c.Findings, 1)
			return c.Findings[0].Verdict
		}
		for _, x := range beyond(row.Limit) {
			require.Equal(t, Refuted, try(x, 0), "%s: %v", key, x)
		}
		for _, x := range within(row.Limit) {
			require.Equal(t, Holds, try(x, 0), "%s: %v", key, x)
		}
		require.Equal(t, NotMeasurable, try(math.NaN(), 0), key)
		switch row.Limit.kind {
		case threshold:
			for _, x := range beyond(row.Limit) { // missed by less than the error
				require.Equal(t, Roughly, try(x, 1+math.Abs(x)), "%s: %v", key, x)
			}
		case linear:
			require.Equal(t, Roughly, try(0.96, 0))
		case single:
			require.Equal(t, Roughly, try(1.5*row.Limit.Low, 0))
		}
		if row.Origin == Ours {
			require.NotEmpty(t, row.Reason, key)
		}
		require.NotEmpty(t, row.Statements, key)
		require.Equal(t, 1, len(slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !s.mine(key) })), "%s: one claim fills a row", key)
		require.NoError(t, Known(key))
	}
}

func foundOf(value, err float64) found { return found{value: value, err: err, format: plain} }

// TestStatements: there are 110, each of which has a row in the claim where it is shown, or a reason why not.
func TestStatements(t *testing.T) {
	require.Len(t, Statements, 110)
	rows := map[int][]string{}
	for _, row := range articleRows {
		for _, id := range row.Statements {
			rows[id] = append(rows[id], row.Key)
		}
	}
	var counts [3]int
	for i, s := range Statements {
		require.Equal(t, i+1, s.ID)
		require.NotEmpty(t, s.Text)
		counts[s.Kind]++
		if s.Kind == Opinion {
			require.NotEmpty(t, s.Remark, "%d needs a reason", s.ID)
			require.Equal(t, Count, s.Claim)
			require.Empty(t, rows[s.ID], "%d", s.ID)
			continue
		}
		require.NotEmpty(t, rows[s.ID], "%d has no row", s.ID)
		for _, key := range rows[s.ID] {
			if s.Claim != 2 && s.Claim != 9 && key != "q4-resident" {
				require.True(t, steps[s.Claim-1].mine(key) || len(rows[s.ID]) > 1, "%d: %s is not of claim %d", s.ID, key, s.Claim)
			}
		}
	}
	require.Equal(t, [3]int{43, 47, 20}, counts)
}

func TestBusy(t *testing.T) {
	c := &Claim{reported: Reading(), again: "x"}
	c.add("latency-below-1b", "w", found{value: 5, format: ms, timed: true, load: probe.Load{Processor: 0.5}})
	c.add("latency/q8_0", "w", found{value: 0.5, format: times, timed: true, load: probe.Load{Memory: 0.11}})
	c.add("latency/q4_k_m", "w", found{value: 0.5, format: times, timed: true, load: probe.Load{Processor: 0.09, Memory: 0.09}})
	c.add("trained", "w", found{value: 100, format: times, load: probe.Load{Processor: 0.5}}) // no speed
	var verdicts []Verdict
	for _, f := range c.Findings {
		verdicts = append(verdicts, f.Verdict)
	}
	require.Equal(t, []Verdict{Busy, Busy, Holds, Holds}, verdicts)
	require.Contains(t, c.Findings[0].How, "The machine was busy")
	c.judge()
	require.Equal(t, Holds, c.Verdict)
	require.Equal(t, "2 hold, 2 not measurable: the machine was busy", c.Summary())
	r := Report{Claims: []*Claim{c}, Load: probe.Load{Processor: 0.5}}
	r.count()
	require.Equal(t, 2, r.Counts.Busy)
	var b bytes.Buffer
	require.NoError(t, r.Markdown(&b, false))
	require.Contains(t, b.String(), "The machine was busy: other programs took 50 %")
}

func testRun(t *testing.T) (*run, *Claim) {
	r := &run{Options: Options{Reported: Reading(), DenseName: "dense", MoEName: "moe", Threads: 1, Quick: true}, ctx: t.Context(), report: &Report{}, reports: map[string]*size.Breakdown{}}
	return r, &Claim{reported: r.Reported, again: "goinfer claims"}
}

// verdicts are the worst of each key.
func verdicts(c *Claim) map[string]Verdict {
	m := map[string]Verdict{}
	for _, f := range c.Findings {
		m[f.Key] = max(m[f.Key], f.Verdict)
	}
	return m
}

// TestMeasurementsCanRefute feeds the rows of what is measured with data of machines and models of which the statement is false, and with such of which it is true.
func TestMeasurementsCanRefute(t *testing.T) {
	counts := func(weights, active, bytes int64) size.Counts {
		return size.Counts{Params: weights, Read: active, Bytes: bytes, ReadBytes: active / 2}
	}
	ran := func(weights int64, ms float64) timed {
		return timed{name: "m", counts: counts(weights, weights, weights/2), tokens: []float64{ms / 1e3, ms / 1e3}, resident: weights / 2}
	}
	for _, x := range []struct {
		name        string
		do          func(r *run, c *Claim, good bool)
		holds, both []string // rows that hold with good data and are refuted with bad; rows are refuted by one of the bad
	}{
		{name: "memory", do: func(r *run, c *Claim, good bool) {
			f16, q4 := timed{counts: counts(1e8, 1e8, 2e8), resident: 210e6}, timed{counts: counts(1e8, 1e8, 6e7), resident: 68e6}
			if !good { // everything is kept twice over and over; nothing beside the weights
				f16.resident, q4.resident = 900e6, 200e6
			}
			r.heldRows(c, "m", "F16", f16)
			r.heldRows(c, "m", "Q4_K_M", q4)
		}, holds: []string{"fp16-resident", "q4-resident"}},
		{name: "growth", do: func(_ *run, c *Claim, good bool) {
			y := []float64{10, 20, 30, 40}
			if !good {
				y = []float64{10, 40, 20, 35}
			}
			var points []page.Point
			for i, v := range y {
				points = append(points, page.Point{X: float64(i + 1), Y: v})
			}
			growthRows(c, "context", "m", 10, points)
			growthRows(c, "batch", "m", 10, points)
		}, holds: []string{"cache-linear/context", "cache-linear/batch"}},
		{name: "other caches", do: func(_ *run, c *Claim, good bool) {
			held := [3]float64{100, 200, 300}
			if !good {
				held = [3]float64{100, 200, 210}
			}
			otherRows(c, "gemma-3-1b", "w", 1000, heldMemory{held: held, off: smallError}, 100)
			otherRows(c, "deepseek-v2-small", "l", 1000, heldMemory{held: held, off: smallError}, 100)
			otherRows(c, "mamba-130m", "s", 1000, heldMemory{held: held, off: smallError}, 100)
		}, holds: []string{"cache-windows/gemma-3-1b", "cache-latents/deepseek-v2-small", "cache-states/mamba-130m"}},
		{name: "time", do: func(r *run, c *Claim, good bool) {
			sizes := []timed{ran(1e8, 11), ran(2e8, 20), ran(4e8, 41), ran(8e8, 80)}
			if !good { // a machine whose small models are as slow as large ones
				sizes = []timed{ran(1e8, 80), ran(2e8, 20), ran(4e8, 90), ran(8e8, 80)}
			}
			require.NoError(t, r.timeRows(c, sizes, probe.Load{}))
		}, holds: []string{"time-linear"}},
		{name: "mixtures", do: func(r *run, c *Claim, good bool) {
			few, many := ran(1e8, 10), ran(3e8, 10.5)
			few.tokens, many.tokens = []float64{0.010, 0.0101}, []float64{0.0105, 0.0106}
			if !good { // every expert is read for every token, and none is kept
				many.tokens, many.resident = []float64{0.030, 0.031}, few.resident
			}
			r.mixtureRows(c, []timed{few, many}, probe.Load{})
		}, holds: []string{"speed-of-experts", "memory-of-experts"}},
		{name: "latency", do: func(_ *run, c *Claim, good bool) {
			ms := []timed{ran(8e8, 40), ran(8e8, 20), ran(8e8, 12)}
			if !good { // a machine that calculates so slowly that fewer bits cost time
				ms[1].tokens, ms[2].tokens = []float64{0.050, 0.051}, []float64{0.090, 0.091}
			}
			latencyRows(c, []string{"F16", "Q8_0", "Q4_K_M"}, ms, probe.Load{}, 32<<20)
		}, holds: []string{"latency/q8_0", "latency/q4_k_m"}},
		{name: "bounds", do: func(r *run, c *Claim, good bool) {
			ops, gbs := 1000.0, 20.0
			m := ran(8e8, 25)
			if !good { // memory so fast, and arithmetic so slow, that the sides change
				ops, gbs = 10, 2000
			}
			require.NoError(t, r.boundRows(c, ops, gbs, probe.Load{}))
			r.boundMeasured(c, &m, gbs, probe.Load{})
			if !good { // and the other way round, for the prompt
				require.NoError(t, r.boundRows(c, 1e9, 1, probe.Load{}))
			}
		}, holds: []string{"bound/token", "bound/moe", "bound/prompt", "bound/moe-measured"}},
		{name: "choosing", do: func(r *run, c *Claim, good bool) {
			s := &size.Speed{Type: "Q4_K_M", Byte: 1e-12, Op: 1e-15, Bandwidth: 1000}
			have := int64(1e12)
			if !good { // a slower machine with next to no memory
				s.Byte, have = 1e-8, 1e6
			}
			require.NoError(t, r.choosingRows(c, s, have, probe.Load{}))
		}, holds: []string{"latency-below-1b", "fits/1b-3b", "fits/7b-13b", "fits/7b-33b", "fits/8b-70b", "fits/70b-405b", "responsive/1b-3b", "responsive/7b-13b", "responsive/7b-33b",
			"responsive/8b-70b", "responsive/70b-405b", "smallest"}},
		{name: "training", do: func(_ *run, c *Claim, good bool) {
			res := [2]eval.Result{{PPL: 17, Error: 0.3, Chunks: 1}, {PPL: 4200, Error: 30, Chunks: 1}}
			east := [2]float64{0.9, 0.0002}
			if !good { // a model that learnt nothing, and one that is worse than chance
				res, east = [2]eval.Result{{PPL: 20000, Error: 3}, {PPL: 21000, Error: 3}}, [2]float64{0.0002, 0.0002}
			}
			trainingRows(c, "m", res, east, 4096, "x")
		}, holds: []string{"trained", "same-size", "random-loss", "trained-east"}},
		{name: "neurons", do: func(_ *run, c *Claim, good bool) {
			all := []tested{{word: "Paris", prob: 0.9, worst: 0.9, control: 1}}
			points := []explain.Point{{Fraction: 0.1, Draws: []float64{0.7, 0.8, 0.9}}}
			if !good {
				all[0].worst, points[0].Draws = 0.01, []float64{0.001, 0.002, 0.003}
			}
			neuronRows(c, all)
			spreadRows(c, "m", 0.9, points)
		}, holds: []string{"one-neuron", "one-neuron-specific", "spread/10"}},
		{name: "weights", do: func(_ *run, c *Claim, good bool) {
			w := make([]float32, 5000)
			for i := range w {
				w[i] = float32(i-2500) * 0.001 / 3
			}
			if !good { // a broken file
				w = []float32{1, 1, float32(math.NaN())}
			}
			weightRows(c, "m", w)
		}, holds: []string{"weights-finite", "weights-like", "weights-distinct"}},
		{name: "compression", do: func(_ *run, c *Claim, good bool) {
			res, exact, known, parameters := eval.Result{PPL: 17, Error: 0.3, Tokens: 1000, Bytes: 3600}, [2]int{0, 16}, 12, int64(5e6)
			if !good { // a model that knows nothing of the text; and one that recites it, with a fact in each parameter
				res.PPL, exact, known, parameters = 1e9, [2]int{16, 16}, 12, 12
			}
			compressionRows(c, "m", res, 0.38, 0.32, exact, known, parameters, "x")
		}, holds: []string{"compress/gzip", "compress/xz", "lossy", "parameters-per-fact"}},
		{name: "invention", do: func(_ *run, c *Claim, good bool) {
			real, none := []asked{{0.5, " P", 0.9}, {0.4, " M", 0.9}}, []asked{{2, " P", 0.3}, {1.9, " M", 0.3}}
			all := []written{{"a b c d e f g", 100}}
			training := "nothing of the kind is here at all today"
			if !good { // a model that is as sure of what does not exist, refuses to answer, and recites
				none, all, training = []asked{{0.1, " the", 0.9}, {0.1, " the", 0.9}}, []written{{"a b c d e f g", 3}}, "a b c d e f g"
			}
			inventionRows(c, "m", real, none, map[string]bool{" P": true, " M": true})
			novelRows(c, "m", all, training)
		}, holds: []string{"invented-entropy", "invented-answered", "novel", "novel-ngrams"}},
	} {
		for _, good := range []bool{true, false} {
			r, c := testRun(t)
			x.do(r, c, good)
			got := verdicts(c)
			for _, key := range x.holds {
				v, ok := got[key]
				require.True(t, ok, "%s: %s has no row", x.name, key)
				if good {
					require.LessOrEqual(t, v, Roughly, "%s: %s", x.name, key)
				} else {
					require.Equal(t, Refuted, v, "%s: %s", x.name, key)
				}
			}
		}
	}
}

// TestRouterRows: a router that gives all tokens to the same experts is found out.
func TestRouterRows(t *testing.T) {
	moe := explain.MoE{Experts: 8, Used: 2}
	trace := func(pick func(pos int) []explain.ExpertWeight) *explain.Trace {
		tr := &explain.Trace{MoE: moe, Layers: make([]explain.Layer, 1), Tokens: make([]explain.Token, 64)}
		for pos := range 64 {
			tr.Layers[0].Routes = append(tr.Layers[0].Routes, explain.Route{Experts: pick(pos)})
		}
		return tr
	}
	stats := func(balance float64) *explain.RouterStats {
		return &explain.RouterStats{MoE: moe, Tokens: 5000, Layers: []explain.LayerStats{{Balance: balance, Load: make([]float64, 8)}}}
	}
	_, c := testRun(t)
	routerRows(c, "m", trace(func(pos int) []explain.ExpertWeight {
		return []explain.ExpertWeight{{ID: int32(pos % 8)}, {ID: int32((pos + 1) % 8)}}
	}), stats(0.97), "x")
	got := verdicts(c)
	for key, want := range map[string]Verdict{"experts-active": Holds, "router-choices": Holds, "balance": Holds, "touched-by-32": Refuted} {
		require.Equal(t, want, got[key], key)
	}
	_, c = testRun(t)
	routerRows(c, "m", trace(func(int) []explain.ExpertWeight {
		return []explain.ExpertWeight{{ID: 0}, {ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}}
	}), stats(0.45), "x")
	got = verdicts(c)
	for key, want := range map[string]Verdict{"experts-active": Refuted, "router-choices": Refuted, "balance": Refuted, "touched-by-32": Refuted} {
		require.Equal(t, want, got[key], key)
	}
	mean, _ := touched(trace(func(int) []explain.ExpertWeight { return []explain.ExpertWeight{{ID: 0}, {ID: 1}} }), 32)
	require.EqualValues(t, 2, mean)
	_, c = testRun(t)
	routerRows(c, "m", trace(func(int) []explain.ExpertWeight { return []explain.ExpertWeight{{ID: 0}, {ID: 1}} }), stats(0.9), "x")
	require.Equal(t, Holds, verdicts(c)["touched-by-32"])
}

// TestLevelRows: 8 bits that cost as much as 2 are found out.
func TestLevelRows(t *testing.T) {
	rep := func(bytes int64, ln float64) *eval.TypesReport {
		half := eval.TypeRow{Type: "f16", Bytes: 1000, KL: &eval.Comparison{}}
		row := func(level string) eval.TypeRow {
			return eval.TypeRow{Type: level, Bytes: bytes, KL: &eval.Comparison{LogRatio: ln, LogRatioError: 0.001}}
		}
		return &eval.TypesReport{Rows: []eval.TypeRow{{Type: "f32", Source: true}, half, row("q8_0"), row("q4_0"), row("q4_k_m")}}
	}
	_, c := testRun(t)
	levelRows(c, "m", rep(500, 0.0002))
	require.Equal(t, Holds, verdicts(c)["shrinks/q8_0"])
	require.Equal(t, Holds, verdicts(c)["loss/q4_0"])
	_, c = testRun(t)
	levelRows(c, "m", rep(1100, 0.2))
	for _, level := range []string{"q8_0", "q4_0", "q4_k_m"} {
		require.Equal(t, Refuted, verdicts(c)["loss/"+level])
	}
	require.NotEqual(t, Holds, verdicts(c)["shrinks/q8_0"])
}

func subject(t *testing.T, name string) *bench.Subject {
	data, err := os.ReadFile(filepath.Join(shared.Root(t), "cmd", "goinfer", "embedded", name+"-q8_0.gguf"))
	require.NoError(t, err)
	s, err := bench.Open(source.Bytes(name, data))
	require.NoError(t, err)
	return s
}

func text(t *testing.T) string {
	b, err := os.ReadFile(filepath.Join(shared.Root(t), "cmd", "goinfer", "embedded", "valid.txt"))
	require.NoError(t, err)
	return string(b)
}

// TestRescaled: weights off the grid of 8 bits compute what the weights on it do, and lose something in 8 bits.
func TestRescaled(t *testing.T) {
	if testing.Short() {
		t.Skip("runs trained models")
	}
	r, _ := testRun(t)
	for _, name := range []string{"tiny-dense", "tiny-moe"} {
		s := subject(t, name)
		off, err := r.offGrid(s)
		require.NoError(t, err)
		rep, err := eval.CompareTypes(t.Context(), s, eval.TypesOptions{Types: []string{"q8_0"}, Text: text(t), Chunks: 1, Chunk: 128, Answer: 1, NoSpeed: true})
		require.NoError(t, err)
		own := rep.Rows[0].Perplexity.PPL
		rep, err = eval.CompareTypes(t.Context(), off, eval.TypesOptions{Types: []string{"f16", "q8_0"}, Text: text(t), Chunks: 1, Chunk: 128, Answer: 1, NoSpeed: true})
		require.NoError(t, err)
		require.InEpsilon(t, own, rep.Rows[0].Perplexity.PPL, 5e-3, name) // activations are quantised for the one and not for the other
		require.Greater(t, rep.Rows[2].KL.KLMean, 5*rep.Rows[1].KL.KLMean, name)
	}
}

// TestTrainedAndRandom: what holds of a trained model is refuted by one of random weights, through the same machinery.
func TestTrainedAndRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("runs trained models")
	}
	shape, err := size.FindShape("tiny-dense")
	require.NoError(t, err)
	random, err := bench.Of(shape)
	require.NoError(t, err)
	data, err := random.Data(t.Context(), "Q8_0")
	require.NoError(t, err)
	untrained, err := bench.Open(source.Bytes("random", data))
	require.NoError(t, err)
	for _, x := range []struct {
		do            func(*run, *Claim) error
		holds, random []string
	}{
		{(*run).nextWord, []string{"paris-rank", "east/west", "east/north", "uncertain"}, []string{"paris-rank"}},
		{(*run).training, []string{"trained", "random-loss", "trained-east"}, []string{"trained", "same-size", "trained-east"}},
		{(*run).compression, []string{"compress/gzip", "compress/xz", "lossy", "parameters-per-fact"}, []string{"compress/gzip", "compress/xz"}},
		{(*run).invention, []string{"invented-entropy", "novel"}, []string{"invented-answered"}},
		{(*run).weights, []string{"weights-finite", "weights-like", "weights-distinct"}, nil},
	} {
		for _, s := range []*bench.Subject{subject(t, "tiny-dense"), untrained} {
			r, c := testRun(t)
			r.Text, r.Dense = text(t)[:20_000], s
			require.NoError(t, x.do(r, c))
			got := verdicts(c)
			keys, want := x.holds, Roughly
			if s == untrained {
				keys, want = x.random, Refuted
			}
			for _, key := range keys {
				require.Contains(t, got, key)
				if s == untrained {
					require.Equal(t, want, got[key], key)
				} else {
					require.LessOrEqual(t, got[key], want, key)
				}
			}
			for _, f := range c.Findings {
				require.NotEmpty(t, f.Command, f.Key)
				require.NotEmpty(t, f.Error, f.Key)
			}
		}
	}
}

func TestReadReported(t *testing.T) {
	read := func(s string) (Reported, error) {
		_, rows, err := ReadReported(strings.NewReader(s), "a.json")
		return rows, err
	}
	title, rows, err := ReadReported(strings.NewReader(`{"title": "Mine", "statements": [{"text": "Seven.", "row": "parameters/qwen3-8b", "figure": 8},
		{"row": "shrinks/q4_0", "at_least": 3, "at_most": 5}, {"row": "layers/llama-2-7b", "count": 33}, {"row": "time-linear", "linear": true}]}`), "a.json")
	require.NoError(t, err)
	require.Equal(t, "Mine", title)
	require.Len(t, rows, 4)
	rep, err := Run(t.Context(), Options{Reported: rows, Title: title, Threads: 1, Quick: true, Only: []int{1}})
	require.NoError(t, err)
	require.Len(t, rep.Claims, 1)
	require.Empty(t, rep.Statements)
	got := verdicts(rep.Claims[0])
	require.Equal(t, map[string]Verdict{"parameters/qwen3-8b": Holds, "layers/llama-2-7b": Refuted}, got)
	require.Equal(t, "Seven.", rep.Claims[0].Findings[0].Text)
	for fault, s := range map[string]string{
		"1 to 1000 statements, found 0":            `{"statements": []}`,
		`there is no row "nonsense"`:               `{"statements": [{"row": "nonsense", "figure": 1}]}`,
		"did you mean llama-2-7b":                  `{"statements": [{"row": "parameters/lama-2-7b", "figure": 7}]}`,
		"found 0 of them":                          `{"statements": [{"row": "trained"}]}`,
		"found 2 of them":                          `{"statements": [{"row": "trained", "figure": 1, "count": 1}]}`,
		"want a number above 0":                    `{"statements": [{"row": "trained", "figure": 0}]}`,
		"no larger than at_most":                   `{"statements": [{"row": "trained", "at_least": 2, "at_most": 1}]}`,
		"has a statement already":                  `{"statements": [{"row": "trained", "figure": 1}, {"row": "trained", "figure": 2}]}`,
		`unknown field "figures"`:                  `{"statements": [{"row": "trained", "figures": 1}]}`,
		"a.json: EOF":                              ``,
		"found more behind it":                     `{"statements": [{"row": "trained", "figure": 1}]} {}`,
		"want texts of at most":                    `{"statements": [{"row": "trained", "figure": 1, "text": "` + strings.Repeat("x", 3000) + `"}]}`,
		"want at most 1048576 bytes of statements": strings.Repeat(" ", 2<<20),
	} {
		_, err := read(s)
		require.ErrorContains(t, err, fault)
	}
}

// TestComputed: what is known to be false of the article is found out, and each command names what it counts.
func TestComputed(t *testing.T) {
	rep, err := Run(t.Context(), Options{Threads: 1, Quick: true, Only: []int{1, 10, 17}})
	require.NoError(t, err)
	require.Len(t, rep.Claims, 3)
	got := verdicts(rep.Claims[0])
	for key, want := range map[string]Verdict{"embedding/llama-2-7b": Refuted, "matrices/llama-2-7b": Refuted, "matrices/gpt2": Holds, "block/llama-2-7b": Holds, "parameters/llama-3.1-405b": Holds} {
		require.Equal(t, want, got[key], key)
	}
	got = verdicts(rep.Claims[1])
	for key, want := range map[string]Verdict{"devices-fp16/llama-3.1-405b": Refuted, "devices-int8/llama-3.1-405b": Holds, "devices-141gb/llama-3.1-405b": Holds, "devices-fp16/llama-2-70b": Holds} {
		require.Equal(t, want, got[key], key)
	}
	require.Equal(t, "goinfer claims --only 1,10,17 --quick", rep.Command())
	require.Equal(t, NotMeasurable, rep.Claims[2].Verdict)
	require.Equal(t, [3]int{43, 47, 20}, rep.Counts.Statements)
	require.Zero(t, rep.Counts.Measured)
	require.Contains(t, rep.Tally(), "43 measured, 47 computed, 20 opinion or not measurable here")
	var b bytes.Buffer
	require.NoError(t, rep.Markdown(&b, true))
	for _, want := range []string{"0.33×", "[embedding/llama-2-7b]", "Vocabulary times width", "`goinfer params llama-2-7b`"} {
		require.Contains(t, b.String(), want)
	}
	p, err := rep.Page()
	require.NoError(t, err)
	b.Reset()
	require.NoError(t, p.Render(&b))
	require.Empty(t, browser.Outside(b.String()))
	for _, want := range []string{"Guess first", "does not hold (0.33×)", "our threshold", "computed"} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "2. 1.")
	_, err = json.Marshal(rep)
	require.NoError(t, err)
}

// TestClaimsBrowser: the page opens in a browser without a fault, and its guesses unfold.
func TestClaimsBrowser(t *testing.T) {
	if os.Getenv("GOINFER_BROWSER") == "" {
		t.Skip("no browser is named: GOINFER_BROWSER=chromium has one look at the page")
	}
	rep, err := Run(t.Context(), Options{Threads: 1, Quick: true, Only: []int{1, 10}})
	require.NoError(t, err)
	p, err := rep.Page()
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, p.Render(&b))
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	document := browser.Open(t, file, `<script>document.getElementById("all").click();</script>`)
	require.Equal(t, 2, strings.Count(document, `<details class="answer" open`))
}

func TestFormats(t *testing.T) {
	for want, got := range map[string]string{"6040×": times(6043), "2.0 million×": times(2.01e6), "0.33×": times(0.33), "3.0 billion×": times(3e9), "5.0 %": percent(0.05), "0.0022 %": percent(2.2e-5)} {
		require.Equal(t, want, got)
	}
	require.Equal(t, []string{"a b", "b c"}, ngrams("A b, c.", 2))
}

// TestLeastOf: one run with garbage moves neither a figure nor, by itself, its error.
func TestLeastOf(t *testing.T) {
	s := leastOf([3][]float64{{100, 101, 140}, {230, 200, 206}, {300, 300, 301}})
	require.Equal(t, [3]float64{100, 200, 300}, s.held)
	require.Equal(t, 6.0, s.off)
	require.Equal(t, float64(smallError), leastOf([3][]float64{{1, 1, 1}, {2, 2, 2}, {3, 3, 3}}).off)
}
