package arch

import (
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// llama is the pre-norm decoder of Llama 1-3, Mistral, TinyLlama, SmolLM and their kin, and of Mixtral, whose feed-forward blocks are experts.
// Touvron et al. 2023, arXiv:2302.13971; GQA: Ainslie et al. 2023, arXiv:2305.13245; Mixtral: Jiang et al. 2024, arXiv:2401.04088.
type llama struct {
	cfg  model.Config
	embd *nn.Embedding
	rope *nn.Rope
	attn *nn.Attention
	blk  []llamaBlock
	norm *nn.Norm
	head *nn.Linear
}

type llamaBlock struct {
	attnNorm, ffnNorm *nn.Norm
	q, k, v, o        *nn.Linear
	gate, up, down    *nn.Linear
	moe               *nn.MoE // in place of gate, up and down
}

func newLlama(w *model.Weights) (model.Model, error) {
	c := w.Config()
	nQ, nKV := c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim
	m := &llama{cfg: c, rope: w.Rope(), attn: w.Attention()}
	m.embd = w.Embedding("token_embd", c.NVocab, c.NEmbd)
	m.norm = w.Norm("output_norm", c.NEmbd)
	m.head = w.Head(c.NEmbd, c.NVocab) // tied to token_embd when "output" is absent
	for i := 0; i < c.NLayer && w.Err() == nil; i++ {
		b := w.Block(i)
		l := llamaBlock{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			q:        b.Linear("attn_q", c.NEmbd, nQ),
			k:        b.Linear("attn_k", c.NEmbd, nKV),
			v:        b.Linear("attn_v", c.NEmbd, nKV),
			o:        b.Linear("attn_output", nQ, c.NEmbd),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(true)
		} else {
			l.gate = b.Linear("ffn_gate", c.NEmbd, c.NFF)
			l.up = b.Linear("ffn_up", c.NEmbd, c.NFF)
			l.down = b.Linear("ffn_down", c.NFF, c.NEmbd)
		}
		m.blk = append(m.blk, l)
	}
	return m, w.Err() // the first missing name or wrong shape, named
}

func (m *llama) State() []kv.Spec {
	return kv.Repeat(m.cfg.NLayer, kv.Full(m.cfg.NHeadKV, m.cfg.HeadDim))
}

func (m *llama) Forward(f *nn.Pass) *tensor.Tensor {
	x := f.Embed(m.embd) // the residual stream, [n_tokens][n_embd]
	for i := range m.blk {
		b := &m.blk[i]
		f.Layer(i)

		h := f.Norm(x, b.attnNorm)
		q, k, v := f.QKV(h, b.q, b.k, b.v)
		f.Rope(m.rope, q)
		f.Rope(m.rope, k)
		f.Add(x, f.Linear(f.Attend(m.attn, q, k, v), b.o))

		h = f.Norm(x, b.ffnNorm)
		if b.moe != nil {
			f.Add(x, f.MoE(h, b.moe))
		} else {
			f.Add(x, f.Linear(f.SwiGLU(h, b.gate, b.up), b.down))
		}
	}
	return f.Outputs(x)
}

func (m *llama) Logits(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	return f.Linear(f.Norm(x, m.norm), m.head)
}
