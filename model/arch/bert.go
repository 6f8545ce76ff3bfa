package arch

import (
	"fmt"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var bertSheet = Sheet{
	Name:    "bert",
	Build:   newBERT,
	Encoder: true,
	Folders: []hf.Family{{
		Names: []string{"BertModel", "BertForMaskedLM", "bert"}, Activation: "gelu",
		Tensors: map[string]string{
			"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd", "embeddings.token_type_embeddings": "token_types",
			"embeddings.LayerNorm": "token_embd_norm", "embeddings.position_ids": "",
			"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
			"attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
			"intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
			// What guesses masked words and judges pairs of texts has no part in embeddings.
			"pooler.dense": "", "cls.predictions.bias": "", "cls.predictions.decoder": "", "cls.predictions.transform.dense": "", "cls.predictions.transform.LayerNorm": "",
			"cls.seq_relationship": "",
		},
		Keys: func(m *hf.Meta) {
			m.Put("attention.causal", false)
			m.Pooling()
			m.PutTokenizer("token_type_count", uint32(m.Or(1, "type_vocab_size")))
		},
	}},
}

var jinaBertV2Sheet = Sheet{
	Name:    "jina-bert-v2",
	Build:   newJinaBERT2,
	Encoder: true,
}

var jinaBertV3Sheet = Sheet{
	Name:    "jina-bert-v3",
	Build:   newRopeBERT,
	Encoder: true,
}

var nomicBertSheet = Sheet{
	Name:    "nomic-bert",
	Build:   newNomicBERT,
	Encoder: true,
}

var nomicBertMoeSheet = Sheet{
	Name:    "nomic-bert-moe",
	Build:   newRopeBERT,
	Encoder: true,
}

// newBERT makes BERT, with learnt positions. Devlin et al. 2018, arXiv:1810.04805.
func newBERT(w *model.Weights) (model.Model, error) {
	c := w.Config()
	m := bertOf(w, nn.AttentionConfig{}, nil, plainBERT)
	m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	return m, w.Err()
}

// newRopeBERT makes Jina's third model, with RoPE (Sturua et al. 2024, arXiv:2409.10173), and
// Nomic's with experts in every second layer (Nussbaum and Duderstadt 2025, arXiv:2502.07972).
func newRopeBERT(w *model.Weights) (model.Model, error) {
	return bertOf(w, nn.AttentionConfig{}, w.Rope(model.RopeNeoX), plainBERT), w.Err()
}

// newNomicBERT makes Nomic's model with RoPE and a gate. Nussbaum et al. 2024, arXiv:2402.01613.
func newNomicBERT(w *model.Weights) (model.Model, error) {
	gated := func(b *model.Weights) *nn.FFN { return b.FFN(nn.SiLU) }
	return bertOf(w, nn.AttentionConfig{}, w.Rope(model.RopeNeoX), gated), w.Err()
}

// newJinaBERT2 makes Jina's second model, with ALiBi and a gate. Günther et al. 2023,
// arXiv:2310.19923.
func newJinaBERT2(w *model.Weights) (model.Model, error) {
	a := nn.AttentionConfig{Slopes: alibi(w.Config(), usualALiBi)}
	return bertOf(w, a, nil, func(b *model.Weights) *nn.FFN {
		if b.Has("ffn_gate") {
			return b.FFN(nn.GELU)
		}
		return b.FusedFFN(nn.GELU)
	}), w.Err()
}

func plainBERT(b *model.Weights) *nn.FFN { return b.PlainFFN(nn.GELU) }

// bertOf makes BERT and the encoders that descend from it: post-norm layers with an attention, a
// RoPE or nil for none, and a dense feed-forward block in the layers without experts.
func bertOf(w *model.Weights, a nn.AttentionConfig, rope *nn.Rope, dense func(b *model.Weights) *nn.FFN) *postNormed {
	c := w.Config()
	a.Bidirectional = true
	h := nn.AttnBlock{Rope: rope, Attn: w.AttentionOf(a)}
	m := &postNormed{}
	m.encoder = newEncoder(w, func(b *model.Weights, i int) block {
		h := h
		if b.Has("attn_q_norm") {
			h.QNorm = b.LayerNorm("attn_q_norm", c.NHead*c.HeadDim)
		}
		if b.Has("attn_k_norm") {
			h.KNorm = b.LayerNorm("attn_k_norm", c.NHeadKV*c.HeadDim)
		}
		l := block{
			attn:         b.AttnHeads(h),
			attnPostNorm: b.LayerNorm("attn_output_norm", c.NEmbd),
			ffnPostNorm:  b.LayerNorm("layer_output_norm", c.NEmbd),
		}
		var second *nn.Norm
		if b.Has("attn_norm_2") {
			second = b.LayerNorm("attn_norm_2", c.NEmbd)
		}
		m.second = append(m.second, second)
		if c.HasExperts(i) {
			l.moe = b.PlainMoE(nn.MoEConfig{Act: nn.GELU})
		} else {
			l.ffn = dense(b)
		}
		return l
	})
	m.embdNorm = w.LayerNorm("token_embd_norm", c.NEmbd)
	if w.Has("token_types") {
		if c.NTokenTypes == 0 {
			w.Fail(fmt.Errorf("no key %q", "tokenizer.ggml.token_type_count"))
		}
		m.types = w.Embedding("token_types", c.NTokenTypes, c.NEmbd)
	}
	return m
}
