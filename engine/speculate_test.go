package engine

import "slices"

// oracle is a Proposer that knows a text, and is wrong at every wrong-th token.
type oracle struct {
	text  []int32
	wrong int
	calls int
}

func (o *oracle) Propose(dst []int32, tokens []int32, n int) []int32 {
	o.calls++
	if len(tokens) >= len(o.text) || !slices.Equal(tokens, o.text[:len(tokens)]) {
		return dst
	}
	for i := len(tokens); i < min(len(tokens)+n, len(o.text)); i++ {
		id := o.text[i]
		if o.wrong > 0 && i%o.wrong == 0 {
			id = (id + 1) % 300
		}
		dst = append(dst, id)
	}
	return dst
}
