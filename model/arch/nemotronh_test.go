package arch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
)

// The sizes of a small Nemotron-H, whose layers are of all three kinds.
const (
	nhPattern                                = "M*-M-M"
	nhEmbd, nhFF, nhVocab                    = 32, 40, 300
	nhHeads, nhKV, nhDim                     = 4, 2, 8
	nhMamba, nhMambaDim, nhGroups            = 4, 12, 2
	nhState, nhConv, nhInner, nhMixed, nhEps = 8, 4, nhMamba * nhMambaDim, nhInner + 2*nhGroups*nhState, 1e-5
)

const nhConfig = `{"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "hidden_size": 32, "intermediate_size": 40,
	"num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 300, "layer_norm_epsilon": 1e-5,
	"max_position_embeddings": 64, "hybrid_override_pattern": "M*-M-M", "mamba_num_heads": 4, "mamba_head_dim": 12, "ssm_state_size": 8,
	"n_groups": 2, "conv_kernel": 4, "expand": 2, "mlp_hidden_act": "relu2", "mamba_hidden_act": "silu", "time_step_limit": [0.0, Infinity],
	"use_bias": false, "use_conv_bias": true, "tie_word_embeddings": false}`

// nhArray is a tensor of a checkpoint.
type nhArray struct {
	shape []int
	x     []float32
}

// nhWeights are random tensors under the names of published checkpoints.
func nhWeights() map[string]nhArray {
	rng := rand.New(rand.NewPCG(3, 4))
	ts := map[string]nhArray{}
	add := func(name string, mean, dev float64, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(mean + dev*rng.NormFloat64())
		}
		ts[name] = nhArray{shape, x}
	}
	add("backbone.embeddings.weight", 0, 1, nhVocab, nhEmbd)
	add("backbone.norm_f.weight", 1, .1, nhEmbd)
	add("lm_head.weight", 0, .3, nhVocab, nhEmbd)
	for i, kind := range nhPattern {
		at := fmt.Sprintf("backbone.layers.%d.", i)
		add(at+"norm.weight", 1, .1, nhEmbd)
		at += "mixer."
		switch kind {
		case 'M':
			add(at+"in_proj.weight", 0, .2, nhInner+nhMixed+nhMamba, nhEmbd)
			add(at+"conv1d.weight", 0, .4, nhMixed, 1, nhConv)
			add(at+"conv1d.bias", 0, .1, nhMixed)
			add(at+"dt_bias", 0, .5, nhMamba)
			add(at+"A_log", 0, .5, nhMamba)
			add(at+"D", 1, .2, nhMamba)
			add(at+"norm.weight", 1, .1, nhInner)
			add(at+"out_proj.weight", 0, .2, nhEmbd, nhInner)
		case '*':
			add(at+"q_proj.weight", 0, .3, nhHeads*nhDim, nhEmbd)
			add(at+"k_proj.weight", 0, .3, nhKV*nhDim, nhEmbd)
			add(at+"v_proj.weight", 0, .3, nhKV*nhDim, nhEmbd)
			add(at+"o_proj.weight", 0, .3, nhEmbd, nhHeads*nhDim)
		case '-':
			add(at+"up_proj.weight", 0, .2, nhFF, nhEmbd)
			add(at+"down_proj.weight", 0, .2, nhEmbd, nhFF)
		}
	}
	return ts
}

// nhFolder writes the checkpoint.
func nhFolder(t *testing.T, ts map[string]nhArray) string {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(nhConfig), 0o600))
	header, data := map[string]any{}, []byte(nil)
	for _, name := range slices.Sorted(maps.Keys(ts)) {
		from := len(data)
		for _, v := range ts[name].x {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": ts[name].shape, "data_offsets": []int{from, len(data)}}
	}
	text, err := json.Marshal(header)
	require.NoError(t, err)
	all := slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), all, 0o600))
	return dir
}

// nhReference computes the logits of the last of some tokens in float64: layer by layer over all
// positions, from the tensors as they are published.
func nhReference(ts map[string]nhArray, ids []int32) []float64 {
	mul := func(name string, x []float64) []float64 {
		w := ts[name]
		y := make([]float64, w.shape[0])
		for i := range y {
			for j, v := range x {
				y[i] += float64(w.x[i*len(x)+j]) * v
			}
		}
		return y
	}
	rms := func(name string, x []float64, group int) []float64 {
		y := make([]float64, len(x))
		for g := 0; g < len(x); g += group {
			var sum float64
			for _, v := range x[g : g+group] {
				sum += v * v
			}
			for i := g; i < g+group; i++ {
				y[i] = x[i] / math.Sqrt(sum/float64(group)+nhEps) * float64(ts[name].x[i])
			}
		}
		return y
	}
	x := make([][]float64, len(ids))
	for t, id := range ids {
		for _, v := range ts["backbone.embeddings.weight"].x[int(id)*nhEmbd:][:nhEmbd] {
			x[t] = append(x[t], float64(v))
		}
	}
	for i, kind := range nhPattern {
		at := fmt.Sprintf("backbone.layers.%d.", i)
		h := make([][]float64, len(ids))
		for t := range x {
			h[t] = rms(at+"norm.weight", x[t], nhEmbd)
		}
		var y [][]float64
		switch at += "mixer."; kind {
		case 'M':
			y = nhMamba2(ts, at, h, mul, rms)
		case '*':
			y = nhAttention(at, h, mul)
		case '-':
			for _, row := range h {
				up := mul(at+"up_proj.weight", row)
				for j, v := range up {
					up[j] = max(v, 0) * max(v, 0)
				}
				y = append(y, mul(at+"down_proj.weight", up))
			}
		}
		for t := range x {
			for j := range x[t] {
				x[t][j] += y[t][j]
			}
		}
	}
	return mul("lm_head.weight", rms("backbone.norm_f.weight", x[len(x)-1], nhEmbd))
}

// nhMamba2 is the recurrence of arXiv:2405.21060, step by step.
func nhMamba2(ts map[string]nhArray, at string, h [][]float64, mul func(string, []float64) []float64, rms func(string, []float64, int) []float64) (out [][]float64) {
	silu := func(v float64) float64 { return v / (1 + math.Exp(-v)) }
	var mixed [][]float64
	state := make([]float64, nhMamba*nhMambaDim*nhState)
	for t, row := range h {
		p := mul(at+"in_proj.weight", row)
		z, dt := p[:nhInner], p[nhInner+nhMixed:]
		mixed = append(mixed, p[nhInner:nhInner+nhMixed])
		u := make([]float64, nhMixed)
		for c := range u {
			u[c] = float64(ts[at+"conv1d.bias"].x[c])
			for k := range nhConv {
				if s := t - nhConv + 1 + k; s >= 0 {
					u[c] += float64(ts[at+"conv1d.weight"].x[c*nhConv+k]) * mixed[s][c]
				}
			}
			u[c] = silu(u[c])
		}
		y := make([]float64, nhInner)
		for head := range nhMamba {
			group := head / (nhMamba / nhGroups)
			b, c := u[nhInner+group*nhState:], u[nhInner+(nhGroups+group)*nhState:]
			step := math.Log1p(math.Exp(dt[head] + float64(ts[at+"dt_bias"].x[head])))
			decay := math.Exp(-math.Exp(float64(ts[at+"A_log"].x[head])) * step)
			for d := range nhMambaDim {
				j := head*nhMambaDim + d
				for n := range nhState {
					s := &state[j*nhState+n]
					*s = *s*decay + step*b[n]*u[j]
					y[j] += *s * c[n]
				}
				y[j] += float64(ts[at+"D"].x[head]) * u[j]
				y[j] *= silu(z[j])
			}
		}
		out = append(out, mul(at+"out_proj.weight", rms(at+"norm.weight", y, nhInner/nhGroups)))
	}
	return out
}

// nhAttention is causal attention without positions.
func nhAttention(at string, h [][]float64, mul func(string, []float64) []float64) (out [][]float64) {
	var ks, vs [][]float64
	for _, row := range h {
		q := mul(at+"q_proj.weight", row)
		ks, vs = append(ks, mul(at+"k_proj.weight", row)), append(vs, mul(at+"v_proj.weight", row))
		y := make([]float64, nhHeads*nhDim)
		for head := range nhHeads {
			from := head / (nhHeads / nhKV) * nhDim
			weights, sum := make([]float64, len(ks)), 0.0
			for s, k := range ks {
				for d := range nhDim {
					weights[s] += q[head*nhDim+d] * k[from+d]
				}
				weights[s] = math.Exp(weights[s] / math.Sqrt(nhDim))
				sum += weights[s]
			}
			for s, v := range vs {
				for d := range nhDim {
					y[head*nhDim+d] += weights[s] / sum * v[from+d]
				}
			}
		}
		out = append(out, mul(at+"o_proj.weight", y))
	}
	return out
}

// TestNemotronH: a checkpoint, and the GGUF file that it becomes, give the logits of a plain
// computation from the checkpoint's tensors.
func TestNemotronH(t *testing.T) {
	ts := nhWeights()
	want := nhReference(ts, []int32{1, 17, 99, 200, 3})
	folder, err := hf.Open(nhFolder(t, ts), Families(), gguf.Options{})
	require.NoError(t, err)
	defer folder.Close()
	require.Empty(t, folder.Notes())

	w := gguf.NewWriter()
	for key, value := range map[string]any{
		"general.architecture": "nemotron_h", "nemotron_h.block_count": uint32(6), "nemotron_h.context_length": uint32(64),
		"nemotron_h.embedding_length": uint32(nhEmbd), "nemotron_h.vocab_size": uint32(nhVocab),
		"nemotron_h.feed_forward_length":  []int32{0, 0, nhFF, 0, nhFF, 0},
		"nemotron_h.attention.head_count": uint32(nhHeads), "nemotron_h.attention.head_count_kv": []int32{0, nhKV, 0, 0, 0, 0},
		"nemotron_h.attention.key_length": uint32(nhDim), "nemotron_h.attention.value_length": uint32(nhDim),
		"nemotron_h.attention.layer_norm_rms_epsilon": float32(nhEps),
		"nemotron_h.ssm.conv_kernel":                  uint32(nhConv), "nemotron_h.ssm.inner_size": uint32(nhInner), "nemotron_h.ssm.state_size": uint32(nhState),
		"nemotron_h.ssm.time_step_rank": uint32(nhMamba), "nemotron_h.ssm.group_count": uint32(nhGroups),
	} {
		require.NoError(t, w.Set(key, value))
	}
	for _, x := range folder.Tensors() {
		require.NoError(t, w.Add(x.Name, x.Type, x.Shape, folder.Data(&x)))
	}
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	file, err := gguf.OpenBytes("model.gguf", b.Bytes())
	require.NoError(t, err)

	for _, f := range []*gguf.File{folder, file} {
		cfg, err := model.ReadConfig(model.GGUF(f))
		require.NoError(t, err)
		src := tensors{}
		for _, x := range f.Tensors() {
			src[x.Name] = model.SourceTensor{Type: x.Type, Shape: x.Shape, Data: f.Data(&x)}
		}
		got := logits(t, cfg, src)
		require.Len(t, got, len(want))
		for i := range want {
			require.InDelta(t, want[i], got[i], 5e-5, "logit %d of %d", i, len(want))
		}
	}
	for change, want := range map[string]string{
		"M*-M-E": `want M, * or -, found 'E' for layer 5`, "M*-": `want a letter for each of 6 layers, found 3`,
	} {
		config := bytes.Replace([]byte(nhConfig), []byte(nhPattern), []byte(change), 1)
		_, _, err := hf.ParseConfig("config.json", config, Families())
		require.ErrorContains(t, err, want)
	}
}
