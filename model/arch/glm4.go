package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var chatglmSheet = Sheet{
	Name:  "chatglm",
	Build: newChatGLM,
	Folders: []hf.Family{{
		Names: []string{"GlmForCausalLM", "glm"}, Keys: func(m *hf.Meta) { m.Rope(0.5) }, Tensors: gateUpNames,
	}, {
		Names: []string{"ChatGLMModel", "ChatGLMForConditionalGeneration", "chatglm"},
		Keys: func(m *hf.Meta) {
			m.Rope(0.5)
			ratio, ok := m.Float("rope_ratio")
			if !ok {
				ratio = 1
			}
			m.Put("rope.freq_base", float32(10000*ratio))
			m.CopyFloat("attention.layer_norm_rms_epsilon", "layernorm_epsilon")
			m.Drop("attention.layer_norm_epsilon")
		},
		Tensors: hf.Merge(bloomNames, map[string]string{"self_attention.query_key_value": "attn_qkv", "rotary_pos_emb.inv_freq": ""}),
	}},
}

var glm4Sheet = Sheet{
	Name:  "glm4",
	Build: newGLM4,
	Folders: []hf.Family{{
		Names: []string{"Glm4ForCausalLM", "glm4"}, Keys: func(m *hf.Meta) { m.Rope(0.5) },
		Tensors: hf.Merge(gateUpNames, map[string]string{"post_self_attn_layernorm": "post_attention_norm", "post_mlp_layernorm": "post_ffw_norm"}),
	}},
}

// newGLM4 makes GLM-4-0414: norms before and after each block, gate and up in one matrix, and RoPE
// on a part of each head. GLM Team 2024, arXiv:2406.12793.
func newGLM4(w *model.Weights) (model.Model, error) { return glmOf(w, true) }

// newChatGLM makes the models before it, without norms after the blocks.
func newChatGLM(w *model.Weights) (model.Model, error) { return glmOf(w, false) }

func glmOf(w *model.Weights, postNorms bool) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FusedFFN(nn.SiLU),
		}
		if postNorms {
			l.attnPostNorm, l.ffnPostNorm = b.Norm("post_attention_norm", c.NEmbd), b.Norm("post_ffw_norm", c.NEmbd)
		}
		return l
	})
	return m, w.Err()
}
