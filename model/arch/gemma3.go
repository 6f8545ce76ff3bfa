package arch

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gemmaEmbeddingSheet = Sheet{
	Name:    "gemma-embedding",
	Build:   newGemmaEmbedding,
	Encoder: true,
}

var gemma3Sheet = Sheet{
	Name:  "gemma3",
	Build: newGemma3,
	Folders: []hf.Family{{
		Names: []string{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "gemma3_text", "gemma3"}, Activation: "gelu", Ops: addOneToNorms,
		Tensors: hf.Merge(postNorms, map[string]string{"lm_head": ""}),
		Defaults: map[string]float64{
			"max_position_embeddings": 131072, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
			"vocab_size": 262208, "rope_local_base_freq": 10000,
		},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.AlternatingWindow(6)
			m.CopyFloat("rope.freq_base_swa", "rope_local_base_freq")
			m.CopyFloat("final_logit_softcapping", "final_logit_softcapping")
			m.QueryScale(62)
		},
	}},
	Sizes: []Size{
		gemma3Size("gemma-3-1b", "Gemma 3 1B", decoderSize{ctx: 32768, embd: 1152, layers: 26, ff: 6912, heads: 4, headsKV: 1, dim: 256, window: 512}),
		gemma3Size("gemma-3-4b", "Gemma 3 4B, its text model", decoderSize{ctx: 131072, embd: 2560, layers: 34, ff: 10240, heads: 8, headsKV: 4, dim: 256, window: 1024}),
		gemma3Size("gemma-3-12b", "Gemma 3 12B, its text model", decoderSize{ctx: 131072, embd: 3840, layers: 48, ff: 15360, heads: 16, headsKV: 8, dim: 256, window: 1024}),
		gemma3Size("gemma-3-27b", "Gemma 3 27B, its text model", decoderSize{ctx: 131072, embd: 5376, layers: 62, ff: 21504, heads: 32, headsKV: 16, dim: 128, window: 1024}),
	},
}

// newGemma3 makes Gemma 3: of six layers five see a window and rotate by a base of their own,
// without the long context's scaling; heads are normed. Gemma Team 2025, arXiv:2503.19786.
func newGemma3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	scale := c.AttnScale
	if c.NLayer == 62 { // the 27B model divides by n_embd/n_head, which is no key of its file
		scale = float32(1 / math.Sqrt(float64(c.NEmbd)/float64(c.NHead)))
	}
	m := newDecoder(w, (*model.Weights).Norm, gemma3Layer(w, nn.AttentionConfig{Scale: scale}))
	m.embdScale = gemmaScale(c)
	return m, w.Err()
}

// newGemmaEmbedding makes EmbeddingGemma: Gemma 3 as an encoder. Schechter Vera et al. 2025,
// arXiv:2509.20354.
func newGemmaEmbedding(w *model.Weights) (model.Model, error) {
	c := w.Config()
	if w.Has("dense_2") || w.Has("dense_3") {
		return nil, fmt.Errorf("%s with dense layers behind the pooling: %w", c.Arch, model.ErrUnsupported)
	}
	w.Ignore("output.") // a head that embeddings do not pass
	m := newEncoder(w, gemma3Layer(w, nn.AttentionConfig{Bidirectional: true}))
	m.embdScale, m.norm = gemmaScale(c), w.Norm("output_norm", c.NEmbd)
	return m, w.Err()
}

// gemma3Layer makes layers whose attention is a, of some within the window.
func gemma3Layer(w *model.Weights, a nn.AttentionConfig) func(b *model.Weights, i int) block {
	c := w.Config()
	ropeFull, ropeLocal := w.Rope(model.RopeNeoX), w.RopeLocal(model.RopeNeoX, 10000, 1)
	full := w.AttentionOf(a)
	a.Window = c.Window
	local := w.AttentionOf(a)
	return func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: ropeFull, Attn: full}
		if c.IsSWA(i, 6) {
			h = nn.AttnBlock{Rope: ropeLocal, Attn: local}
		}
		return block{
			attnNorm:     b.Norm("attn_norm", c.NEmbd),
			attn:         b.AttnHeads(b.QKNorm(h)),
			attnPostNorm: b.Norm("post_attention_norm", c.NEmbd),
			ffnNorm:      b.Norm("ffn_norm", c.NEmbd),
			ffn:          b.FFN(nn.GELU),
			ffnPostNorm:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	}
}

// gemma3Size is the third, for text. The configurations of the models that also see count 64 tokens
// more than the vocabulary has.
func gemma3Size(name, about string, d decoderSize) Size {
	d.eps, d.base = 1e-6, 1e6
	return d.size(name, about, spm(262144))
}
