package model_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// llama is Llama in one straight line, as its paper reads (Touvron et al. 2023, arXiv:2302.13971).
type llama struct {
	embd *nn.Embedding // [n_vocab][n_embd]
	rope *nn.Rope
	attn *nn.Attention
	blk  []llamaBlock
	norm *nn.Norm
	head *nn.Linear // [n_vocab][n_embd]
}

// llamaBlock is one layer. A matrix is [outputs][inputs].
type llamaBlock struct {
	attnNorm, ffnNorm *nn.Norm
	q, k, v, o        *nn.Linear
	gate, up, down    *nn.Linear
}

// newLlama finds the weights by their names in GGUF, and checks their shapes.
func newLlama(w *model.Weights) (*llama, error) {
	c := w.Config()
	nQ, nKV := c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim
	m := &llama{
		embd: w.Embedding("token_embd", c.NVocab, c.NEmbd),
		rope: w.Rope(model.RopeInterleaved),
		attn: w.Attention(), // grouped queries: NHead query heads share NHeadKV keys and values
		norm: w.Norm("output_norm", c.NEmbd),
		head: w.Head(c.NEmbd, c.NVocab), // the embedding where the file has no output.weight
	}
	for i := range c.NLayer {
		b := w.Block(i) // names that begin with "blk.i."
		m.blk = append(m.blk, llamaBlock{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			q:        b.Linear("attn_q", c.NEmbd, nQ),
			k:        b.Linear("attn_k", c.NEmbd, nKV),
			v:        b.Linear("attn_v", c.NEmbd, nKV),
			o:        b.Linear("attn_output", nQ, c.NEmbd),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			gate:     b.Linear("ffn_gate", c.NEmbd, c.NFF),
			up:       b.Linear("ffn_up", c.NEmbd, c.NFF),
			down:     b.Linear("ffn_down", c.NFF, c.NEmbd),
		})
	}
	return m, w.Err() // the first missing name or wrong shape
}

// forward returns the logits of the rows of f that want some, [n_outputs][n_vocab].
func (m *llama) forward(f *nn.Pass) *tensor.Tensor {
	x := f.Embed(m.embd) // the residual stream, [n_tokens][n_embd]
	for i, b := range m.blk {
		f.Layer(i) // scratch memory is reused; cache and hooks learn which layer this is

		h := f.Norm(x, b.attnNorm)
		q, k, v := f.QKV(h, b.q, b.k, b.v)
		f.Rope(m.rope, q)
		f.Rope(m.rope, k)
		f.Add(x, f.Linear(f.Attend(m.attn, q, k, v), b.o))

		h = f.Norm(x, b.ffnNorm)
		f.Add(x, f.Linear(f.GLU(h, b.gate, b.up, nn.SiLU), b.down))
	}
	return f.Linear(f.Norm(f.Outputs(x), m.norm), m.head)
}

// run computes the logits of the last of some tokens; layers is what the cache keeps for each.
func run(layers []kv.Spec, tokens []int32, forward func(f *nn.Pass) *tensor.Tensor) []float32 {
	pool := par.New(2) // threads
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: layers})
	check(err)
	seq := store.Open()
	check(store.Reserve(seq, len(tokens)))
	var b nn.Batch
	for pos, id := range tokens {
		b.Add(nn.Row{Token: id, Pos: pos, Seq: seq, Out: pos == len(tokens)-1})
	}
	f, err := nn.NewPass(pool, store, false)
	check(err)
	f.Begin(&b)
	logits := forward(f)
	check(f.End())
	return slices.Clone(logits.F)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Llama without any of the generality of package arch, which makes the same model of the same file.
// The logits have the same bits.
func Example() {
	file, err := gguf.Open("../testdata/models/llama-dense/model.gguf", gguf.Options{})
	check(err)
	defer file.Close()
	c, err := model.ReadConfig(model.GGUF(file))
	check(err)
	m, err := newLlama(model.NewWeights(c, model.GGUF(file), model.Options{}))
	check(err)
	tokens := []int32{1, 17, 99, 200, 3}
	got := run(kv.Repeat(c.NLayer, kv.Full(c.NHeadKV, c.HeadDim)), tokens, m.forward)

	decoder, err := arch.Build(model.NewWeights(c, model.GGUF(file), model.Options{}))
	check(err)
	want := run(decoder.State(), tokens, func(f *nn.Pass) *tensor.Tensor {
		return decoder.Logits(f, model.Forward(decoder, f))
	})
	fmt.Println(len(got), "logits, the same bits:", slices.Equal(got, want))
	// Output: 320 logits, the same bits: true
}
