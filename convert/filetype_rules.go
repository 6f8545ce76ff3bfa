package convert

import (
	"fmt"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/quant"
)

// typeChooser is the state of tensorTypes: what the rules know and count.
type typeChooser struct {
	m        gguf.FileType
	f        ModelInfo
	tied     bool // the embedding serves as output matrix too
	nV       int  // attention values in the file
	iV       int  // those before this one
	up, gate int  // feed-forward matrices before this one
	down     int
}

// is reports whether the file type is one of those given.
func (p *typeChooser) is(ms ...gguf.FileType) bool {
	for _, m := range ms {
		if p.m == m {
			return true
		}
	}
	return false
}

// gqa is the number of heads that share their keys and values.
func (p *typeChooser) gqa() int {
	if p.f.NHeadKV == 0 {
		return 0
	}
	return p.f.NHead / p.f.NHeadKV
}

// is70B reports whether the model is of the kind that the reference knows as "70B", whose attention
// values are few.
func (p *typeChooser) is70B() bool {
	switch p.f.Arch {
	case "llama":
		return p.f.NLayer == 80 && p.f.NHead != p.f.NHeadKV
	case "qwen2", "olmo", "deci":
		return p.f.NLayer == 80
	case "jais2":
		return p.f.NLayer == 68
	}
	return false
}

// useMoreBits is the rule by which the file types with M spend bits: the first and the last eighth
// of the layers, and every third between.
func useMoreBits(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// layer is the layer of a feed-forward matrix: in models with experts by its name, otherwise by
// counting.
func (p *typeChooser) layer(t *gguf.Tensor, counted int) (int, error) {
	if p.f.NExpert <= 1 {
		return counted, nil
	}
	i := names.Parse(t.Name).Layer
	if i < 0 || i >= p.f.NLayer {
		return 0, fmt.Errorf("tensor %q: want a layer below %d in its name", t.Name, p.f.NLayer)
	}
	return i, nil
}

// choose is the type of a matrix in a file type that starts from base, whatever its rows:
// llama-quant.cpp, llama_tensor_get_type_impl.
func (p *typeChooser) choose(t *gguf.Tensor, base quant.Type) (quant.Type, error) {
	r := roleOf(t.Name)
	switch {
	case r == roleOutput || p.tied && r == roleEmbd:
		return p.output(t, base), nil
	case p.m == gguf.MostlyMXFP4_MOE:
		// Three dimensions are a stack of experts, except in one architecture, where attention has
		// them too.
		if len(t.Shape) > 2 && t.Shape[2] > 1 && (p.f.Arch != "bailingmoe3" || r == roleUp || r == roleGate || r == roleDown) {
			return quant.MXFP4, nil
		}
		return quant.Q8_0, nil
	case r == roleEmbd:
		switch p.m {
		case gguf.MostlyIQ1_S, gguf.MostlyIQ1_M, gguf.MostlyIQ2_XXS, gguf.MostlyIQ2_XS:
			return quant.Q2_K, nil
		case gguf.MostlyIQ2_S, gguf.MostlyIQ2_M, gguf.MostlyIQ3_XXS:
			return quant.IQ3_S, nil
		case gguf.MostlyTQ1_0, gguf.MostlyTQ2_0, gguf.MostlyQ2_0:
			return quant.Q4_K, nil
		}
		return base, nil
	case p.is(gguf.MostlyIQ1_S, gguf.MostlyIQ1_M, gguf.MostlyIQ2_XXS, gguf.MostlyIQ2_XS, gguf.MostlyIQ2_S, gguf.MostlyIQ2_M):
		return p.lowest(r, base), nil
	case r.isValueLike():
		return p.values(base), nil
	}
	switch r {
	case roleK:
		switch {
		case p.f.NExpert == 8:
			return quant.Q8_0, nil
		case p.m == gguf.MostlyIQ3_XS:
			return quant.IQ3_XXS, nil
		case p.m == gguf.MostlyIQ3_XXS:
			return quant.IQ2_S, nil
		}
	case roleQ:
		switch p.m {
		case gguf.MostlyIQ3_XS:
			return quant.IQ3_XXS, nil
		case gguf.MostlyIQ3_XXS:
			return quant.IQ2_S, nil
		}
	case roleDown:
		i, err := p.layer(t, p.down)
		p.down++
		return p.ffnDown(base, i), err
	case roleAttnOutput:
		return p.attnOutput(base), nil
	case roleUp, roleGate:
		counter := &p.up
		if r == roleGate {
			counter = &p.gate
		}
		i, err := p.layer(t, *counter)
		*counter++
		if n := p.f.NLayer; p.m == gguf.MostlyIQ3_XS && i >= n/8 && i < 7*n/8 {
			return quant.IQ3_XXS, err
		}
		return base, err
	}
	return base, nil
}

// output is the type of the output matrix, or of the embedding that serves as one.
func (p *typeChooser) output(t *gguf.Tensor, base quant.Type) quant.Type {
	switch {
	case p.m == gguf.MostlyMXFP4_MOE || p.f.Arch == "falcon" || t.Shape[0]%base.BlockSize() != 0:
		return quant.Q8_0
	case p.is(gguf.MostlyIQ1_S, gguf.MostlyIQ1_M, gguf.MostlyIQ2_XXS, gguf.MostlyIQ2_XS, gguf.MostlyIQ2_S, gguf.MostlyIQ2_M, gguf.MostlyIQ3_XXS):
		return quant.Q5_K
	case base != quant.Q8_0:
		return quant.Q6_K
	}
	return base
}

// lowest is the rule of the file types below three bits.
func (p *typeChooser) lowest(r role, base quant.Type) quant.Type {
	better := quant.Q2_K
	if p.is(gguf.MostlyIQ2_S, gguf.MostlyIQ2_M) {
		better = quant.IQ3_S
	}
	switch {
	case r.isValueLike():
		if p.gqa() >= 4 || p.f.NExpert >= 4 {
			return quant.Q4_K
		}
		return better
	case r == roleK && p.f.NExpert == 8:
		return quant.Q4_K
	case r == roleDown:
		p.down++
		if p.down <= p.f.NLayer/8 {
			return better
		}
	case r == roleAttnOutput:
		switch {
		case p.f.NExpert == 8:
			return quant.Q5_K
		case p.is(gguf.MostlyIQ1_S, gguf.MostlyIQ1_M):
			return quant.IQ2_XXS
		case p.is(gguf.MostlyIQ2_S, gguf.MostlyIQ2_M):
			return quant.IQ3_S
		}
	}
	return base
}

// values is the type of attention values.
func (p *typeChooser) values(t quant.Type) quant.Type {
	i := p.iV
	p.iV++
	shared := p.gqa() >= 4
	switch p.m {
	case gguf.MostlyQ2_K:
		t = quant.Q3_K
		if shared {
			t = quant.Q4_K
		}
	case gguf.MostlyQ2_K_S, gguf.MostlyIQ3_XS, gguf.MostlyIQ3_S:
		if shared {
			t = quant.Q4_K
		}
	case gguf.MostlyIQ3_XXS:
		switch {
		case shared:
			t = quant.Q4_K
		case !p.f.Importance:
			t = quant.IQ3_S
		}
	case gguf.MostlyIQ3_M:
		t = quant.Q4_K
	case gguf.MostlyQ3_K_M:
		t = quant.Q4_K
		if i < 2 {
			t = quant.Q5_K
		}
	case gguf.MostlyQ3_K_L:
		t = quant.Q5_K
	case gguf.MostlyIQ4_NL, gguf.MostlyIQ4_XS:
		if shared {
			t = quant.Q5_K
		}
	case gguf.MostlyQ4_K_M, gguf.MostlyQ5_K_M:
		if useMoreBits(i, p.nV) {
			t = quant.Q6_K
		}
	case gguf.MostlyQ4_K_S:
		if i < 4 {
			t = quant.Q5_K
		}
	}
	if p.is70B() && (t == quant.Q3_K || t == quant.Q4_K) {
		t = quant.Q5_K
	}
	if p.f.NExpert == 8 {
		return quant.Q8_0 // little beside eight experts
	}
	return t
}

// ffnDown is the type of the second feed-forward matrix of layer i.
func (p *typeChooser) ffnDown(t quant.Type, i int) quant.Type {
	n, falcon := p.f.NLayer, p.f.Arch == "falcon"
	first := i < n/8
	switch p.m {
	case gguf.MostlyQ2_K:
		return quant.Q3_K
	case gguf.MostlyQ2_K_S:
		if first {
			return quant.Q4_K
		}
	case gguf.MostlyIQ3_XXS:
		if !p.f.Importance {
			if first {
				return quant.Q4_K
			}
			return quant.Q3_K
		}
	case gguf.MostlyQ3_K_M:
		switch {
		case i < n/16:
			return quant.Q5_K
		case !falcon || useMoreBits(i, n):
			return quant.Q4_K
		}
		return quant.Q3_K
	case gguf.MostlyIQ3_M:
		if first || p.f.NExpert == 8 && useMoreBits(i, n) {
			return quant.Q4_K
		}
	case gguf.MostlyQ3_K_L:
		if falcon {
			return quant.Q4_K
		}
		return quant.Q5_K
	case gguf.MostlyQ4_K_M:
		switch {
		case falcon && i < n/16:
			return quant.Q6_K
		case useMoreBits(i, n) && falcon:
			return quant.Q5_K
		case useMoreBits(i, n):
			return quant.Q6_K
		}
	case gguf.MostlyIQ4_NL, gguf.MostlyIQ4_XS:
		if first && !p.f.Importance {
			return quant.Q5_K
		}
	case gguf.MostlyQ5_K_M:
		if useMoreBits(i, n) {
			return quant.Q6_K
		}
	case gguf.MostlyQ4_K_S:
		if first && !falcon {
			return quant.Q5_K
		}
	case gguf.MostlyQ4_0:
		if first && p.f.Importance {
			return quant.Q4_1
		}
	case gguf.MostlyQ5_0:
		if first && p.f.Importance {
			return quant.Q5_1
		}
	}
	return t
}

// attnOutput is the type of the matrix after attention.
func (p *typeChooser) attnOutput(t quant.Type) quant.Type {
	switch {
	case p.f.Arch == "falcon":
		if p.m == gguf.MostlyQ3_K_L {
			return quant.Q4_K
		}
	case p.f.NExpert == 8:
		if p.is(gguf.MostlyQ2_K, gguf.MostlyIQ3_XS, gguf.MostlyIQ3_XXS, gguf.MostlyQ3_K_S, gguf.MostlyQ3_K_M, gguf.MostlyIQ4_NL, gguf.MostlyQ4_K_S, gguf.MostlyQ4_K_M, gguf.MostlyIQ3_S, gguf.MostlyIQ3_M, gguf.MostlyIQ4_XS) {
			return quant.Q5_K
		}
	default:
		switch p.m {
		case gguf.MostlyQ2_K:
			return quant.Q3_K
		case gguf.MostlyIQ3_XXS:
			return quant.IQ3_S
		case gguf.MostlyQ3_K_M, gguf.MostlyIQ3_M:
			return quant.Q4_K
		case gguf.MostlyQ3_K_L:
			return quant.Q5_K
		}
	}
	return t
}
