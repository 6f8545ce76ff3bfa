package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// recurAll runs a recurrent block over x in chunks, beside another sequence, and marks some
// lengths. With every chunk it proposes rows more, of which it accepts what continues x and rejects
// what does not. It goes back to the last mark once and takes the rest again.
func recurAll(t *testing.T, r RecurrentBlock, threads, chunk, proposed int, marks []int, x *tensor.Tensor) []float32 {
	pool := par.New(threads)
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: []kv.Spec{kv.Recurrent(3), kv.Recurrent(r.State())}})
	require.NoError(t, err)
	p, err := NewPass(pool, store, false)
	require.NoError(t, err)
	seq, other := store.Open(), store.Open()
	out := make([]float32, len(x.F))
	step := func(at, n int) {
		var b Batch
		all := n + proposed
		rows := &tensor.Tensor{Rows: all + 2, Cols: x.Cols}
		require.NoError(t, store.Reserve(other, 2))
		require.NoError(t, store.ReserveTentative(seq, all, min(n, 1)))
		for _, m := range marks {
			if m > at && m <= at+n {
				store.Checkpoint(seq, m)
			}
		}
		for i := range 2 {
			b.Add(Row{Pos: store.Len(other) + i, Seq: other})
			rows.F = append(rows.F, x.Row((at+i)%x.Rows)...)
		}
		for i := range all {
			b.Add(Row{Pos: at + i, Seq: seq})
		}
		rows.F = append(rows.F, x.F[at*x.Cols:(at+n)*x.Cols]...)
		for i := range proposed { // what is wrong, and rejected
			rows.F = append(rows.F, x.Row((at+i+7)%x.Rows)...)
		}
		p.Begin(&b)
		p.Layer(1)
		y := p.Recur(rows, r)
		require.NoError(t, p.End())
		require.Equal(t, x.Cols, y.Cols)
		copy(out[at*x.Cols:(at+n)*x.Cols], y.F[2*x.Cols:])
		store.Commit(seq, n)
		store.Commit(other, 2)
	}
	for at := 0; at < x.Rows; at += chunk {
		step(at, min(chunk, x.Rows-at))
	}
	if len(marks) > 0 {
		back := store.Fork(seq, x.Rows-1)
		store.Drop(seq)
		seq = back
		at := store.Len(seq)
		require.Equal(t, marks[len(marks)-1], at)
		clear(out[at*x.Cols:])
		step(at, x.Rows-at)
	}
	return out
}

// recurs requires that a block gives what the reference gives, with the same bits in any chunks, on
// any number of threads, from any mark, whatever was proposed and rejected.
func recurs(t *testing.T, r RecurrentBlock, embd int, reference func(x [][]float64) [][]float64) {
	t.Helper()
	const n = 23
	x := &tensor.Tensor{Rows: n, Cols: embd, F: normal(rand.New(rand.NewPCG(3, uint64(r.State()))), n*embd)}
	got := recurAll(t, r, 1, 1, 0, nil, x)
	in := make([][]float64, n)
	for i := range in {
		in[i] = row64(x.Row(i))
	}
	for i, row := range reference(in) {
		for j, want := range row {
			require.InDelta(t, want, got[i*embd+j], 2e-5*max(1, math.Abs(want)), "row %d, element %d", i, j)
		}
	}
	for _, threads := range []int{1, 3} {
		for _, chunk := range []int{1, 5, n} {
			for _, marks := range [][]int{nil, {2, 3, 11}, {20, 22}} {
				for _, proposed := range []int{0, 4} {
					require.Equal(t, bits(got), bits(recurAll(t, r, threads, chunk, proposed, marks, x)),
						"%d threads, chunks of %d and %d proposed, marks %v", threads, chunk, proposed, marks)
				}
			}
		}
	}
}

// columns64 is columns [from, from+n) of rows.
func columns64(x [][]float64, from, n int) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = x[i][from : from+n]
	}
	return out
}

func applyAll(w [][]float64, x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = apply(w, x[i])
	}
	return out
}

// conv64 is a convolution as its definition has it.
func conv64(c *Conv, x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = make([]float64, c.Channels)
		for j := range out[i] {
			sum := 0.0
			if c.Bias != nil {
				sum = float64(c.Bias[j])
			}
			for k := range c.DConv {
				if at := i + k - c.DConv + 1; at >= 0 {
					sum += float64(c.Weight[k*c.Channels+j]) * x[at][j]
				}
			}
			if c.SiLU {
				sum *= sigmoid64(sum)
			}
			out[i][j] = sum
		}
	}
	return out
}

func sigmoid64(x float64) float64  { return 1 / (1 + math.Exp(-x)) }
func softplus64(x float64) float64 { return math.Log1p(math.Exp(x)) }

func newConv(r *rand.Rand, taps, n int, silu bool) *Conv {
	c := &Conv{Name: "conv", DConv: taps, Channels: n, SiLU: silu, Weight: normal(r, taps*n)}
	if silu {
		c.Bias = normal(r, n)
	}
	return c
}

// rates are numbers below 0.
func rates(r *rand.Rand, n int) []float32 {
	a := normal(r, n)
	for i := range a {
		a[i] = -float32(math.Exp(float64(a[i])))
	}
	return a
}

func TestMamba(t *testing.T) {
	const embd, rank, states = 24, 5, 7
	for _, inner := range []int{1, 64, 100, 300} {
		for _, normed := range []bool{false, true} {
			t.Run(fmt.Sprint(inner, normed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, uint64(inner)))
				lin := func(name string, in, out int) *Linear { return linear(t, name, quant.F32, in, out, LinearOptions{}) }
				norm := func(n int) *Norm {
					norm, err := NewNorm("norm", NormConfig{N: n, Weight: floatWeight(normal(r, n)), Eps: 1e-5})
					require.NoError(t, err)
					return norm
				}
				a := rates(r, inner*states) // [inner][states]
				step := linear(t, "step", quant.F32, rank, inner, LinearOptions{Bias: floatWeight(normal(r, inner))})
				m := &Mamba{X: lin("x", embd, inner), Z: lin("z", embd, inner), Conv: newConv(r, 4, inner, true), DT: lin("dt", inner, rank), B: lin("b", inner, states),
					C: lin("c", inner, states), Step: step, Out: lin("out", inner, embd), Inner: inner, States: states, A: MambaRates(a, inner, states), D: normal(r, inner)}
				if normed {
					m.DTNorm, m.BNorm, m.CNorm = norm(rank), norm(states), norm(states)
				}
				recurs(t, m, embd, func(x [][]float64) [][]float64 {
					u, z := conv64(m.Conv, applyAll(dense(t, m.X), x)), applyAll(dense(t, m.Z), x)
					dt, b, c := applyAll(dense(t, m.DT), u), applyAll(dense(t, m.B), u), applyAll(dense(t, m.C), u)
					if normed {
						dt, b, c = norm64(m.DTNorm, dt), norm64(m.BNorm, b), norm64(m.CNorm, c)
					}
					dt = applyAll(dense(t, m.Step), dt)
					y := make([][]float64, len(x))
					s := make([]float64, inner*states)
					for i := range x {
						y[i] = make([]float64, inner)
						for j := range inner {
							d := softplus64(dt[i][j] + float64(step.bias[j]))
							sum := float64(m.D[j]) * u[i][j]
							for n := range states {
								at := j*states + n
								s[at] = math.Exp(d*float64(a[at]))*s[at] + d*b[i][n]*u[i][j]
								sum += c[i][n] * s[at]
							}
							y[i][j] = sum * z[i][j] * sigmoid64(z[i][j])
						}
					}
					return applyAll(dense(t, m.Out), y)
				})
			})
		}
	}
}

// norm64 is a root-mean-square norm of parts.
func norm64(n *Norm, x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = make([]float64, len(x[i]))
		for at := 0; at < len(x[i]); at += n.n {
			square := 0.0
			for _, v := range x[i][at : at+n.n] {
				square += v * v / float64(n.n)
			}
			for j := at; j < at+n.n; j++ {
				out[i][j] = x[i][j] / math.Sqrt(square+float64(n.eps)) * float64(n.w[j%len(n.w)])
			}
		}
	}
	return out
}

func TestMamba2(t *testing.T) {
	const embd = 24
	for _, c := range []struct{ heads, dim, states, groups int }{{1, 1, 1, 1}, {4, 16, 8, 2}, {6, 20, 33, 3}, {8, 64, 128, 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, uint64(c.dim)))
			lin := func(name string, in, out int) *Linear { return linear(t, name, quant.F32, in, out, LinearOptions{}) }
			inner, mixed := c.heads*c.dim, c.heads*c.dim+2*c.groups*c.states
			norm, err := NewNorm("norm", NormConfig{N: inner / c.groups, Weight: floatWeight(normal(r, inner)), Eps: 1e-5})
			require.NoError(t, err)
			m := &Mamba2{Z: lin("z", embd, inner), X: lin("x", embd, mixed), Conv: newConv(r, 3, mixed, true), DT: lin("dt", embd, c.heads), Norm: norm, Out: lin("out", inner, embd),
				NHead: c.heads, HeadDim: c.dim, States: c.states, Groups: c.groups, Bias: normal(r, c.heads), A: rates(r, c.heads), D: normal(r, c.heads)}
			recurs(t, m, embd, func(x [][]float64) [][]float64 {
				z, dt, all := applyAll(dense(t, m.Z), x), applyAll(dense(t, m.DT), x), conv64(m.Conv, applyAll(dense(t, m.X), x))
				u, bs, cs := columns64(all, 0, inner), columns64(all, inner, c.groups*c.states), columns64(all, inner+c.groups*c.states, c.groups*c.states)
				y := make([][]float64, len(x))
				s := make([]float64, inner*c.states) // [head][dim][states]
				for i := range x {
					y[i] = make([]float64, inner)
					for j := range inner {
						h := j / c.dim
						group := h / (c.heads / c.groups)
						d := softplus64(dt[i][h] + float64(m.Bias[h]))
						sum := float64(m.D[h]) * u[i][j]
						for n := range c.states {
							at := j*c.states + n
							s[at] = math.Exp(d*float64(m.A[h]))*s[at] + d*bs[i][group*c.states+n]*u[i][j]
							sum += cs[i][group*c.states+n] * s[at]
						}
						y[i][j] = sum * z[i][j] * sigmoid64(z[i][j])
					}
				}
				return applyAll(dense(t, m.Out), norm64(norm, y))
			})
		})
	}
}

func TestDeltaNet(t *testing.T) {
	const embd = 24
	for _, c := range []struct {
		keys, values, dim int
		tiled, mixed      bool
	}{{1, 1, 1, false, false}, {2, 6, 16, false, true}, {2, 6, 16, true, false}, {2, 4, 19, false, false}, {1, 2, 128, true, true}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(4, uint64(c.dim)))
			lin := func(name string, in, out int) *Linear { return linear(t, name, quant.F32, in, out, LinearOptions{}) }
			channels := (2*c.keys + c.values) * c.dim
			norm, err := NewNorm("norm", NormConfig{N: c.dim, Weight: floatWeight(normal(r, c.dim)), Eps: 1e-5})
			require.NoError(t, err)
			m := &DeltaNet{QKV: lin("qkv", embd, channels), Conv: newConv(r, 4, channels, true), Z: lin("z", embd, c.values*c.dim), Norm: norm, Out: lin("out", c.values*c.dim, embd),
				Keys: c.keys, Values: c.values, Dim: c.dim, Tiled: c.tiled, Bias: normal(r, c.values), A: rates(r, c.values), Eps: 1e-6}
			if c.mixed {
				m.BetaRate = lin("ba", embd, 2*c.values)
			} else {
				m.Beta, m.Rate = lin("beta", embd, c.values), lin("rate", embd, c.values)
			}
			recurs(t, m, embd, func(x [][]float64) [][]float64 {
				qkv, z := conv64(m.Conv, applyAll(dense(t, m.QKV), x)), applyAll(dense(t, m.Z), x)
				y := make([][]float64, len(x))
				s := make([][][]float64, c.values) // [head][key][value]
				for h := range s {
					s[h] = make([][]float64, c.dim)
					for i := range s[h] {
						s[h][i] = make([]float64, c.dim)
					}
				}
				ofLength := func(x []float64, length float64) []float64 {
					square := 0.0
					for _, v := range x {
						square += v * v
					}
					out := make([]float64, len(x))
					for i, v := range x {
						out[i] = v * length / max(math.Sqrt(square), float64(m.Eps))
					}
					return out
				}
				for i := range x {
					y[i] = make([]float64, c.values*c.dim)
					var strength, rate []float64
					if c.mixed { // of each head of keys: strengths, then rates
						group := c.values / c.keys
						for k, both := 0, apply(dense(t, m.BetaRate), x[i]); k < c.keys; k++ {
							strength = append(strength, both[2*k*group:][:group]...)
							rate = append(rate, both[(2*k+1)*group:][:group]...)
						}
					} else {
						strength, rate = apply(dense(t, m.Beta), x[i]), apply(dense(t, m.Rate), x[i])
					}
					for h := range c.values {
						of := h / (c.values / c.keys)
						if c.tiled {
							of = h % c.keys
						}
						q, k := ofLength(qkv[i][of*c.dim:][:c.dim], 1/math.Sqrt(float64(c.dim))), ofLength(qkv[i][(c.keys+of)*c.dim:][:c.dim], 1)
						v := qkv[i][(2*c.keys+h)*c.dim:][:c.dim]
						decay := math.Exp(float64(m.A[h]) * softplus64(rate[h]+float64(m.Bias[h])))
						for b := range c.dim {
							recalled := 0.0
							for a := range c.dim {
								s[h][a][b] *= decay
								recalled += k[a] * s[h][a][b]
							}
							read := 0.0
							for a := range c.dim {
								s[h][a][b] += k[a] * (v[b] - recalled) * sigmoid64(strength[h])
								read += q[a] * s[h][a][b]
							}
							y[i][h*c.dim+b] = read
						}
					}
				}
				y = norm64(norm, y)
				for i := range y {
					for j, g := range z[i] {
						y[i][j] *= g * sigmoid64(g)
					}
				}
				return applyAll(dense(t, m.Out), y)
			})
		})
	}
}

func TestShortConv(t *testing.T) {
	for _, embd := range []int{1, 24, 300} {
		for _, taps := range []int{1, 3} {
			r := rand.New(rand.NewPCG(5, uint64(embd)))
			lin := func(name string) *Linear { return linear(t, name, quant.F32, embd, embd, LinearOptions{}) }
			m := &ShortConv{B: lin("b"), C: lin("c"), X: lin("x"), Conv: newConv(r, taps, embd, false), Out: lin("out")}
			recurs(t, m, embd, func(x [][]float64) [][]float64 {
				b, c, u := applyAll(dense(t, m.B), x), applyAll(dense(t, m.C), x), applyAll(dense(t, m.X), x)
				for i := range u {
					for j := range u[i] {
						u[i][j] *= b[i][j]
					}
				}
				y := conv64(m.Conv, u)
				for i := range y {
					for j := range y[i] {
						y[i][j] *= c[i][j]
					}
				}
				return applyAll(dense(t, m.Out), y)
			})
		}
	}
}

// TestRecurAllocatesNothing: neither does a step of a layer with a state.
func TestRecurAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const embd = 32
	lin := func(name string, out int) *Linear { return linear(t, name, quant.F32, embd, out, LinearOptions{}) }
	norm, err := NewNorm("norm", NormConfig{N: 16})
	require.NoError(t, err)
	m := &DeltaNet{QKV: lin("qkv", 64), Conv: newConv(r, 4, 64, true), Z: lin("z", 32), Beta: lin("beta", 2), Rate: lin("rate", 2), Norm: norm, Out: lin("out", embd),
		Keys: 1, Values: 2, Dim: 16, Bias: normal(r, 2), A: rates(r, 2)}
	pool := par.New(2)
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: []kv.Spec{kv.Recurrent(m.State())}})
	require.NoError(t, err)
	p, err := NewPass(pool, store, false)
	require.NoError(t, err)
	seq := store.Open()
	x := &tensor.Tensor{Rows: 1, Cols: embd, F: normal(r, embd)}
	var b Batch
	require.Zero(t, testing.AllocsPerRun(20, func() {
		if err := store.Reserve(seq, 1); err != nil {
			panic(err)
		}
		b.Reset()
		b.Add(Row{Pos: store.Len(seq), Seq: seq})
		p.Begin(&b)
		p.Layer(0)
		p.Recur(x, m)
		if err := p.End(); err != nil {
			panic(err)
		}
		store.Commit(seq, 1)
	}))
}
