package arch

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
)

// tensors is a Source in memory.
type tensors map[string]model.SourceTensor

func (s tensors) Tensor(name string) (model.SourceTensor, bool) { t, ok := s[name]; return t, ok }
func (s tensors) Rows(name string, first, n int) []byte {
	size := s[name].Type.RowBytes(s[name].Shape[0])
	return s[name].Data[first*size : (first+n)*size]
}
func (s tensors) Names() []string { return slices.Sorted(maps.Keys(s)) }

// load reads one of the models in testdata.
func load(t testing.TB, name string) (model.Config, tensors) {
	return loadFile(t, filepath.Join(shared.Root(t), "testdata", "models", name, "model.gguf"))
}

func loadFile(t testing.TB, path string) (model.Config, tensors) {
	f, err := gguf.Open(path, gguf.Options{NoMmap: true})
	require.NoError(t, err)
	g := model.GGUF(f)
	cfg, err := model.ReadConfig(g)
	require.NoError(t, err)
	src := tensors{}
	for _, name := range g.Names() {
		x, _ := f.Tensor(name)
		src[name] = model.SourceTensor{Type: x.Type, Shape: x.Shape, Data: f.Data(x)}
	}
	return cfg, src
}

// logits builds a model and returns the bits of its logits after some tokens.
func logits(t testing.TB, cfg model.Config, src tensors) []float32 {
	w := model.NewWeights(cfg, src, model.Options{})
	m, err := Build(w)
	require.NoError(t, err)
	require.Empty(t, w.Unused())
	require.Len(t, m.State(), cfg.NLayer)
	pool := par.New(1)
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: m.State(), KType: kv.F32, VType: kv.F32})
	require.NoError(t, err)
	seq := store.Open()
	ids := []int32{1, 17, 99, 200, 3}
	require.NoError(t, store.Reserve(seq, len(ids)))
	var b nn.Batch
	for i, id := range ids {
		b.Add(nn.Row{Token: id, Pos: i, Seq: seq, Out: i == len(ids)-1})
	}
	p, err := nn.NewPass(pool, store, false)
	require.NoError(t, err)
	p.Begin(&b)
	out := m.Logits(p, model.Forward(m, p))
	require.NoError(t, p.End())
	require.Equal(t, []int{1, cfg.NVocab}, []int{out.Rows, out.Cols})
	return slices.Clone(out.F)
}

// f32 makes a tensor, the fastest dimension first.
func f32(v float32, shape ...int) model.SourceTensor {
	n := 1
	for _, s := range shape {
		n *= s
	}
	var b []byte
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return model.SourceTensor{Type: quant.F32, Shape: shape, Data: b}
}

// TestSameModel writes a model in other ways, which must not change a bit.
func TestSameModel(t *testing.T) {
	for _, name := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		cfg, src := load(t, name)
		want := logits(t, cfg, src)
		same := func(what string, change func(s tensors)) {
			s := maps.Clone(src)
			change(s)
			require.Equal(t, want, logits(t, cfg, s), "%s: %s", name, what)
		}
		same("biases of 0", func(s tensors) {
			s["blk.0.attn_q.bias"] = f32(0, cfg.NHead*cfg.HeadDim)
			s["blk.1.attn_output.bias"] = f32(0, cfg.NEmbd)
			s["output.bias"] = f32(0, cfg.NVocab)
		})
		same("factors of 1", func(s tensors) {
			s["blk.0.attn_q.scale"] = f32(1, 1)
			s["output.scale"] = f32(1, 1)
		})
		same("frequency factors of 1", func(s tensors) {
			for i := range cfg.NLayer {
				s[fmt.Sprintf("blk.%d.rope_freqs.weight", i)] = f32(1, cfg.Rope.Dim/2)
			}
		})
		same("dimensions of 1", func(s tensors) {
			for name, x := range s {
				if len(x.Shape) < 4 {
					x.Shape = append(slices.Clone(x.Shape), 1)
				}
				s[name] = x
			}
		})
		if cfg.NExpert > 0 {
			same("gates and ups in one", func(s tensors) {
				for i := range cfg.NLayer {
					at := func(name string) string { return fmt.Sprintf("blk.%d.ffn_%s_exps.weight", i, name) }
					gate, up := src[at("gate")], src[at("up")]
					size := len(up.Data) / cfg.NExpert
					var both []byte
					for e := range cfg.NExpert {
						both = append(append(both, gate.Data[e*size:(e+1)*size]...), up.Data[e*size:(e+1)*size]...)
					}
					delete(s, at("gate"))
					delete(s, at("up"))
					s[at("gate_up")] = model.SourceTensor{Type: up.Type, Shape: []int{up.Shape[0], 2 * up.Shape[1], cfg.NExpert}, Data: both}
				}
			})
			same("experts apart", func(s tensors) {
				for name, x := range src {
					base, ok := strings.CutSuffix(name, "_exps.weight")
					if !ok {
						continue
					}
					delete(s, name)
					size := len(x.Data) / cfg.NExpert
					for e := range cfg.NExpert {
						s[fmt.Sprintf("%s.%d.weight", base, e)] = model.SourceTensor{Type: x.Type, Shape: x.Shape[:2], Data: x.Data[e*size : (e+1)*size]}
					}
				}
			})
		}

		// The other way round: what should have an effect has one.
		other := func(what string, change func(s tensors)) {
			s := maps.Clone(src)
			change(s)
			require.NotEqual(t, want, logits(t, cfg, s), "%s: %s", name, what)
		}
		other("a bias", func(s tensors) { s["blk.0.attn_q.bias"] = f32(1, cfg.NHead*cfg.HeadDim) })
		other("a factor", func(s tensors) { s["blk.0.attn_v.scale"] = f32(2, 1) })
		other("frequency factors", func(s tensors) { s["rope_freqs.weight"] = f32(3, cfg.Rope.Dim/2) })

		tied := maps.Clone(src)
		delete(tied, "output.weight")
		double := maps.Clone(src)
		double["output.weight"] = src["token_embd.weight"]
		require.Equal(t, logits(t, cfg, double), logits(t, cfg, tied), "%s: a head that is missing is the embedding", name)
	}
}

// TestUnused: a tensor that is neither bound nor ignored is reported.
func TestUnused(t *testing.T) {
	cfg, src := load(t, "llama-dense")
	src["blk.0.attn_q_norm.weight"] = f32(1, cfg.HeadDim)
	src[fmt.Sprintf("blk.%d.attn_q.weight", cfg.NLayer)] = src["blk.0.attn_q.weight"]
	src["rope_freqs.weight"] = f32(1, cfg.Rope.Dim/2)
	w := model.NewWeights(cfg, src, model.Options{})
	_, err := Build(w)
	require.NoError(t, err)
	require.Equal(t, []string{"blk.0.attn_q_norm.weight", fmt.Sprintf("blk.%d.attn_q.weight", cfg.NLayer)}, w.Unused())
}

// TestEveryTensor takes each tensor away, and spoils its shape and type: the fault is named, the
// model refused.
func TestEveryTensor(t *testing.T) {
	for _, file := range []string{"llama-dense", "mixtral"} {
		cfg, src := load(t, file)
		for name, x := range src {
			build := func(change func(s tensors)) error {
				s := maps.Clone(src)
				change(s)
				m, err := Build(model.NewWeights(cfg, s, model.Options{}))
				require.True(t, err != nil || m != nil)
				return err
			}
			err := build(func(s tensors) { delete(s, name) })
			if name == "output.weight" || strings.HasPrefix(name, "rope_freqs") {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, fmt.Sprintf("no tensor %q", name))
			}
			err = build(func(s tensors) {
				shape := slices.Clone(x.Shape)
				shape[len(shape)-1]++
				s[name] = f32(1, shape...)
			})
			require.ErrorContains(t, err, fmt.Sprintf("tensor %q: want shape", name))
			err = build(func(s tensors) {
				s[name] = model.SourceTensor{Type: quant.I32, Shape: x.Shape, Data: x.Data}
			})
			require.EqualError(t, err, fmt.Sprintf("tensor %q: type I32 holds no weights", name))
		}
	}
}

func TestNames(t *testing.T) {
	require.Contains(t, Names(), "llama")
	require.True(t, slices.IsSorted(Names()))
	require.NoError(t, Check("llama"))
	require.ErrorContains(t, Check("qwen4moe"), "the nearest in name is qwen")
	require.ErrorContains(t, Check("gemma4"), "the nearest in name is gemma")
	for _, name := range []string{"", "Llama", "magic\n", strings.Repeat("x\n", 10000)} {
		err := Check(name)
		require.ErrorIs(t, err, model.ErrUnsupported)
		require.ErrorContains(t, err, "supported are ")
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 1000)
		_, err = Build(model.NewWeights(model.Config{Arch: name}, tensors{}, model.Options{}))
		require.ErrorIs(t, err, model.ErrUnsupported)
	}
}

// TestDeclare: what an architecture asks for without weights is what it takes from a file, and how
// much of it a token needs is known.
func TestDeclare(t *testing.T) {
	for _, file := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		cfg, src := load(t, file)
		src["blk.0.attn_q.bias"] = f32(0, cfg.NHead*cfg.HeadDim)
		bound := model.NewWeights(cfg, src, model.Options{})
		_, err := Build(bound)
		require.NoError(t, err)
		require.Len(t, bound.Tensors(), len(src))

		declare := func() ([]model.Tensor, model.Model) {
			w := model.BindShapes(cfg, func(name string) bool { _, ok := src[name]; return ok })
			m, err := Build(w)
			require.NoError(t, err)
			require.Empty(t, w.Unused())
			return w.Tensors(), m
		}
		declared, m := declare()
		require.Len(t, m.State(), cfg.NLayer)
		for i, x := range bound.Tensors() {
			require.Equal(t, src[x.Name].Type, x.Type)
			x.Type = quant.F32
			require.Equal(t, x, declared[i])
			used, of := 1, 1
			switch {
			case x.Name == "token_embd.weight":
				of = cfg.NVocab
			case strings.Contains(x.Name, "_exps."):
				used, of = cfg.NExpertUsed, cfg.NExpert
			}
			require.Equal(t, []int{used, of}, []int{x.Used, x.Of}, x.Name)
		}

		delete(src, "output.weight")
		declared, _ = declare()
		require.Len(t, declared, len(src))
		i := slices.IndexFunc(declared, func(x model.Tensor) bool { return x.Name == "token_embd.weight" })
		require.Equal(t, []int{1, 1}, []int{declared[i].Used, declared[i].Of}, "an embedding that is the head is read whole")
	}
}

// TestVaried: a layer may have its own number of key heads, where an architecture says so. Each key
// head twice is the same model.
func TestVaried(t *testing.T) {
	cfg, src := loadFile(t, filepath.Join(shared.Dir(t), "conformance", "models", "mimo2", "model.gguf"))
	require.Nil(t, cfg.LayerKV)
	want := logits(t, cfg, src)
	twice := maps.Clone(src)
	for _, i := range []int{1, 3} {
		for _, m := range []string{"attn_k", "attn_v"} {
			name := fmt.Sprintf("blk.%d.%s.weight", i, m)
			x := src[name]
			size := len(x.Data) / cfg.NHeadKV
			var data []byte
			for h := range cfg.NHeadKV {
				head := x.Data[h*size : (h+1)*size]
				data = append(append(data, head...), head...)
			}
			twice[name] = model.SourceTensor{Type: x.Type, Shape: []int{x.Shape[0], 2 * x.Shape[1]}, Data: data}
		}
	}
	cfg.LayerKV = []int{cfg.NHeadKV, 2 * cfg.NHeadKV, cfg.NHeadKV, 2 * cfg.NHeadKV}
	require.Equal(t, want, logits(t, cfg, twice))

	cfg, src = load(t, "llama-dense")
	cfg.LayerKV = slices.Repeat([]int{cfg.NHeadKV}, cfg.NLayer)
	_, err := Build(model.NewWeights(cfg, src, model.Options{}))
	require.ErrorIs(t, err, model.ErrUnsupported)
	require.ErrorContains(t, err, "llama with other numbers of key heads in other layers")
}
