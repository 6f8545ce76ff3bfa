package size

import "github.com/goinfer/goinfer/model"

// Work is what the tensors of a model mean to memory and to arithmetic: a pass of one token reads
// ReadBytes.
type Work struct {
	Counts
	Experts  bool  // a token is given to some of the experts: other tokens read other bytes
	Int8     int64 // multiply-adds of a prompt token with quantised matrices
	Float    int64 // multiply-adds of a prompt token with matrices of floats
	Head     int64 // multiply-adds of one row of logits
	HeadInt8 bool  // the output matrix is quantised
}

// WorkOf adds up tensors. Vectors and tables that are looked up are read, not multiplied with.
func WorkOf(ts []model.Tensor) Work {
	w := Work{Counts: model.Count(ts)}
	for _, t := range ts {
		if len(t.Shape) < 2 || t.Use == model.LookedUp {
			continue
		}
		w.Experts = w.Experts || t.Used != t.Of
		isInt8 := t.Type.Group() != 0
		switch {
		case t.Use == model.OutputHead:
			w.Head, w.HeadInt8 = w.Head+t.Read(), isInt8
		case isInt8:
			w.Int8 += t.Read()
		default:
			w.Float += t.Read()
		}
	}
	return w
}

// Ops are the operations of evaluating prompts of n tokens in so many sequences, two for each
// multiply-add: of int8 dot products, and of floats. Of a prompt, only the last token needs the
// output matrix.
func (w Work) Ops(n, sequences int) (int8, float float64) {
	tokens := 2 * float64(n) * float64(sequences)
	int8, float = float64(w.Int8)*tokens, float64(w.Float)*tokens
	head := 2 * float64(w.Head) * float64(sequences)
	if w.HeadInt8 {
		return int8 + head, float
	}
	return int8, float + head
}
