package quant

import "fmt"

// plan is the state of Mixture.Types: what the rules know and count.
type plan struct {
	m        Mixture
	f        Facts
	tied     bool // the embedding serves as output matrix too
	nV       int  // attention values in the file
	iV       int  // those before this one
	up, gate int  // feed-forward matrices before this one
	down     int
}

// is reports whether the recipe is one of those given.
func (p *plan) is(ms ...Mixture) bool {
	for _, m := range ms {
		if p.m == m {
			return true
		}
	}
	return false
}

// gqa is the number of heads that share their keys and values.
func (p *plan) gqa() int {
	if p.f.NHeadKV == 0 {
		return 0
	}
	return p.f.NHead / p.f.NHeadKV
}

// seventies reports whether the model is of the kind that the reference knows as "70B", whose attention values are few.
func (p *plan) seventies() bool {
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

// more is the rule by which the recipes with M spend bits: the first and the last eighth of the layers, and every third between.
func more(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// layer is the layer of a feed-forward matrix: in models with experts by its name, otherwise by counting.
func (p *plan) layer(t *Tensor, counted int) (int, error) {
	if p.f.NExpert <= 1 {
		return counted, nil
	}
	i := layerOf(t.Name)
	if i < 0 || i >= p.f.NLayer {
		return 0, fmt.Errorf("quant: tensor %q: want a layer below %d in its name", t.Name, p.f.NLayer)
	}
	return i, nil
}

// choose is the type of a matrix in a recipe that starts from base, whatever its rows: llama-quant.cpp, llama_tensor_get_type_impl.
func (p *plan) choose(t *Tensor, base Type) (Type, error) {
	r := roleOf(t.Name)
	switch {
	case r == roleOutput || p.tied && r == roleEmbd:
		return p.output(t, base), nil
	case p.m == mixMXFP4_MOE:
		// Three dimensions are a stack of experts, except in one architecture, where attention has them too.
		if len(t.Shape) > 2 && t.Shape[2] > 1 && (p.f.Arch != "bailingmoe3" || r == roleUp || r == roleGate || r == roleDown) {
			return MXFP4, nil
		}
		return Q8_0, nil
	case r == roleEmbd:
		switch p.m {
		case mixIQ1_S, mixIQ1_M, mixIQ2_XXS, mixIQ2_XS:
			return Q2_K, nil
		case mixIQ2_S, mixIQ2_M, mixIQ3_XXS:
			return IQ3_S, nil
		case mixTQ1_0, mixTQ2_0, mixQ2_0:
			return Q4_K, nil
		}
		return base, nil
	case p.is(mixIQ1_S, mixIQ1_M, mixIQ2_XXS, mixIQ2_XS, mixIQ2_S, mixIQ2_M):
		return p.lowest(r, base), nil
	case r.likeV():
		return p.values(base), nil
	}
	switch r {
	case roleK:
		switch {
		case p.f.NExpert == 8:
			return Q8_0, nil
		case p.m == mixIQ3_XS:
			return IQ3_XXS, nil
		case p.m == mixIQ3_XXS:
			return IQ2_S, nil
		}
	case roleQ:
		switch p.m {
		case mixIQ3_XS:
			return IQ3_XXS, nil
		case mixIQ3_XXS:
			return IQ2_S, nil
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
		if n := p.f.NLayer; p.m == mixIQ3_XS && i >= n/8 && i < 7*n/8 {
			return IQ3_XXS, err
		}
		return base, err
	}
	return base, nil
}

// output is the type of the output matrix, or of the embedding that serves as one.
func (p *plan) output(t *Tensor, base Type) Type {
	switch {
	case p.m == mixMXFP4_MOE || p.f.Arch == "falcon" || t.Shape[0]%base.BlockSize() != 0:
		return Q8_0
	case p.is(mixIQ1_S, mixIQ1_M, mixIQ2_XXS, mixIQ2_XS, mixIQ2_S, mixIQ2_M, mixIQ3_XXS):
		return Q5_K
	case base != Q8_0:
		return Q6_K
	}
	return base
}

// lowest is the rule of the recipes below three bits.
func (p *plan) lowest(r role, base Type) Type {
	better := Q2_K
	if p.is(mixIQ2_S, mixIQ2_M) {
		better = IQ3_S
	}
	switch {
	case r.likeV():
		if p.gqa() >= 4 || p.f.NExpert >= 4 {
			return Q4_K
		}
		return better
	case r == roleK && p.f.NExpert == 8:
		return Q4_K
	case r == roleDown:
		p.down++
		if p.down <= p.f.NLayer/8 {
			return better
		}
	case r == roleAttnOutput:
		switch {
		case p.f.NExpert == 8:
			return Q5_K
		case p.is(mixIQ1_S, mixIQ1_M):
			return IQ2_XXS
		case p.is(mixIQ2_S, mixIQ2_M):
			return IQ3_S
		}
	}
	return base
}

// values is the type of attention values.
func (p *plan) values(t Type) Type {
	i := p.iV
	p.iV++
	shared := p.gqa() >= 4
	switch p.m {
	case mixQ2_K:
		t = Q3_K
		if shared {
			t = Q4_K
		}
	case mixQ2_K_S, mixIQ3_XS, mixIQ3_S:
		if shared {
			t = Q4_K
		}
	case mixIQ3_XXS:
		switch {
		case shared:
			t = Q4_K
		case !p.f.Importance:
			t = IQ3_S
		}
	case mixIQ3_M:
		t = Q4_K
	case mixQ3_K_M:
		t = Q4_K
		if i < 2 {
			t = Q5_K
		}
	case mixQ3_K_L:
		t = Q5_K
	case mixIQ4_NL, mixIQ4_XS:
		if shared {
			t = Q5_K
		}
	case mixQ4_K_M, mixQ5_K_M:
		if more(i, p.nV) {
			t = Q6_K
		}
	case mixQ4_K_S:
		if i < 4 {
			t = Q5_K
		}
	}
	if p.seventies() && (t == Q3_K || t == Q4_K) {
		t = Q5_K
	}
	if p.f.NExpert == 8 {
		return Q8_0 // little beside eight experts
	}
	return t
}

// ffnDown is the type of the second feed-forward matrix of layer i.
func (p *plan) ffnDown(t Type, i int) Type {
	n, falcon := p.f.NLayer, p.f.Arch == "falcon"
	first := i < n/8
	switch p.m {
	case mixQ2_K:
		return Q3_K
	case mixQ2_K_S:
		if first {
			return Q4_K
		}
	case mixIQ3_XXS:
		if !p.f.Importance {
			if first {
				return Q4_K
			}
			return Q3_K
		}
	case mixQ3_K_M:
		switch {
		case i < n/16:
			return Q5_K
		case !falcon || more(i, n):
			return Q4_K
		}
		return Q3_K
	case mixIQ3_M:
		if first || p.f.NExpert == 8 && more(i, n) {
			return Q4_K
		}
	case mixQ3_K_L:
		if falcon {
			return Q4_K
		}
		return Q5_K
	case mixQ4_K_M:
		switch {
		case falcon && i < n/16:
			return Q6_K
		case more(i, n) && falcon:
			return Q5_K
		case more(i, n):
			return Q6_K
		}
	case mixIQ4_NL, mixIQ4_XS:
		if first && !p.f.Importance {
			return Q5_K
		}
	case mixQ5_K_M:
		if more(i, n) {
			return Q6_K
		}
	case mixQ4_K_S:
		if first && !falcon {
			return Q5_K
		}
	case mixQ4_0:
		if first && p.f.Importance {
			return Q4_1
		}
	case mixQ5_0:
		if first && p.f.Importance {
			return Q5_1
		}
	}
	return t
}

// attnOutput is the type of the matrix after attention.
func (p *plan) attnOutput(t Type) Type {
	switch {
	case p.f.Arch == "falcon":
		if p.m == mixQ3_K_L {
			return Q4_K
		}
	case p.f.NExpert == 8:
		if p.is(mixQ2_K, mixIQ3_XS, mixIQ3_XXS, mixQ3_K_S, mixQ3_K_M, mixIQ4_NL, mixQ4_K_S, mixQ4_K_M, mixIQ3_S, mixIQ3_M, mixIQ4_XS) {
			return Q5_K
		}
	default:
		switch p.m {
		case mixQ2_K:
			return Q3_K
		case mixIQ3_XXS:
			return IQ3_S
		case mixQ3_K_M, mixIQ3_M:
			return Q4_K
		case mixQ3_K_L:
			return Q5_K
		}
	}
	return t
}
