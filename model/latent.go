package model

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// MLARopes are the position embeddings of latent attention.
type MLARopes struct{ q, k *nn.Rope }

// MLARopes makes them: of a query's head the last n_rot elements rotate, and of a key a part that
// has only these.
func (w *Weights) MLARopes(layout nn.RopeLayout) MLARopes {
	n := w.cfg.Rope.Dim
	if n < 1 || n >= w.cfg.HeadDim || w.cfg.NLoraKV < 1 {
		w.Fail(fmt.Errorf("latent attention of %d over heads of %d, of which %d turn: want a part that turns and one that does not", w.cfg.NLoraKV, w.cfg.HeadDim, n))
		return MLARopes{}
	}
	q, k := w.cfg.Rope, w.cfg.Rope
	q.Offset = w.cfg.HeadDim - n
	k.HeadDim = n
	return MLARopes{w.ropeOf(layout, q), w.ropeOf(layout, k)}
}

// MLA makes a block of latent attention from attn_q, or attn_q_a and attn_q_b where queries are
// compressed, attn_kv_a_mqa, and attn_k_b and attn_v_b, or in files of the older layout attn_kv_b,
// which has both.
func (w *Weights) MLA(r MLARopes, scale float32) *nn.MLA {
	c := w.cfg
	rope := c.Rope.Dim
	nope := c.HeadDim - rope
	l := nn.MLAConfig{RopeQ: r.q, RopeK: r.k, Scale: scale}
	if c.NLoraQ > 0 {
		l.QA, l.QNorm = w.Linear("attn_q_a", c.NEmbd, c.NLoraQ), w.Norm("attn_q_a_norm", c.NLoraQ)
		l.Q = w.Linear("attn_q_b", c.NLoraQ, c.NHead*c.HeadDim)
	} else {
		l.Q = w.Linear("attn_q", c.NEmbd, c.NHead*c.HeadDim)
	}
	kv := w.Split("attn_kv_a_mqa", c.NEmbd, Part{"attn_kv_a", c.NLoraKV}, Part{"attn_k_rope", rope})
	l.C, l.KR, l.CNorm = kv[0], kv[1], w.Norm("attn_kv_a_norm", c.NLoraKV)
	if w.Has("attn_k_b") {
		l.KB, l.VB = w.headMatrices("attn_k_b", nope, c.NLoraKV), w.headMatrices("attn_v_b", c.NLoraKV, c.HeadDimV)
	} else {
		l.KB, l.VB = w.splitKVB("attn_kv_b", nope)
		l.KV = w.prefix + "attn_kv_b.weight"
	}
	l.O = w.Linear("attn_output", c.NHead*c.HeadDimV, c.NEmbd)
	if w.err != nil || w.shapesOnly() {
		return nil
	}
	latent, err := nn.NewMLA(l)
	w.Fail(err)
	return latent
}

// headMatrices makes a matrix for each head of NAME.weight, [n_head][out][in].
func (w *Weights) headMatrices(name string, in, out int) []*nn.Linear {
	t, ok := w.find(name+".weight", true, w.cfg.NHead, out, in)
	if !ok {
		return nil
	}
	ls := make([]*nn.Linear, w.cfg.NHead)
	for h := range ls {
		ls[h] = w.linear(name, w.matrixAt(name, t, h, in, out), nil, nil)
	}
	return ls
}

// splitKVB makes the matrices of each head of NAME.weight, whose rows are for each head those of
// the key, then those of the value. The keys' part is transposed, since products take rows: a copy,
// as wide as the file's weights where they are floats, and F16 where they are blocks.
func (w *Weights) splitKVB(name string, nope int) (keys, values []*nn.Linear) {
	heads, lora, v := w.cfg.NHead, w.cfg.NLoraKV, w.cfg.HeadDimV
	t, ok := w.matrix(name+".weight", heads*(nope+v), lora)
	if !ok {
		return nil, nil
	}
	size := t.Type.RowBytes(lora)
	for h := range heads {
		part := func(at, rows int) tensor.Weight {
			p := t
			p.Rows, p.Data = rows, t.Data[(h*(nope+v)+at)*size:][:rows*size]
			return p
		}
		turned := transpose(part(0, nope))
		w.copied += int64(len(turned.Data))
		keys = append(keys, w.linear("attn_k_b", turned, nil, nil))
		values = append(values, w.linear("attn_v_b", part(nope, v), nil, nil))
	}
	return keys, values
}

// transpose exchanges the rows and columns of a matrix.
func transpose(t tensor.Weight) tensor.Weight {
	values := make([]float32, t.Rows*t.Cols)
	for i := range t.Rows {
		quant.Dequantize(t.Type, values[i*t.Cols:(i+1)*t.Cols], t.Row(i))
	}
	turned := make([]float32, len(values))
	for i := range t.Rows {
		for j := range t.Cols {
			turned[j*t.Rows+i] = values[i*t.Cols+j]
		}
	}
	typ := t.Type
	if typ != quant.F32 && typ != quant.BF16 {
		typ = quant.F16
	}
	t.Rows, t.Cols = t.Cols, t.Rows
	data := make([]byte, t.Rows*typ.RowBytes(t.Cols))
	if err := quant.Quantize(typ, data, turned); err != nil { // beyond what F16 holds
		typ, data = quant.F32, make([]byte, 4*len(turned))
		for i, v := range turned {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
	}
	t.Type, t.Data = typ, data
	return t
}
