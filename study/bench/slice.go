package bench

import (
	"fmt"

	"github.com/goinfer/goinfer/study/size"
)

// sliceRatio is how many times more layers the larger slice has than the smaller one: enough that
// the difference of their times is more than noise.
const sliceRatio = 3

// sliceShapes returns two shapes that are made of what the model is made of, with few layers and
// with more, the larger one of at most budget bytes. Where a layer is too large they have fewer
// experts, and at last less of everything. A model that is small enough is both.
func sliceShapes(m *size.Layout, budget int64) (small, large size.Shape, err error) {
	s, err := m.Shape()
	if err != nil {
		return s, s, err
	}
	if n, err := s.Counts(m.FileType, false); err != nil || n.Bytes <= budget {
		return s, s, err
	}
	// Layers without experts stand before those that have some: one of them is kept.
	dense := min(1, s.Get("leading_dense_block_count"))
	first := max(1+dense, s.Get("interleave_moe_layer_step"))
	s = s.Set(map[string]int{"leading_dense_block_count": dense, "nextn_predict_layers": 0})
	for {
		layers, err := layersWithin(s, m.FileType, budget, first)
		if err != nil {
			return s, s, err
		}
		if layers >= sliceRatio*first {
			return withLayers(s, max(first, layers/sliceRatio)), withLayers(s, layers), nil
		}
		if s, err = shrink(s); err != nil {
			return s, s, err
		}
	}
}

func withLayers(s size.Shape, n int) size.Shape { return s.Set(map[string]int{"block_count": n}) }

// layersWithin is the most layers, from first on, with which a shape takes no more than budget
// bytes; fewer than first where there are none.
func layersWithin(s size.Shape, fileType string, budget int64, first int) (int, error) {
	low, high := first-1, s.Get("block_count")
	for high-low > 1 {
		mid := (low + high) / 2
		n, err := withLayers(s, mid).Counts(fileType, false)
		if err != nil {
			return 0, err
		}
		if n.Bytes <= budget {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// A layer keeps so many experts while their number is halved: as few as 8 still make a token read
// other experts than the last one, as long as there are twice as many as are chosen.
const fewExperts = 8

// shrink makes a shape's layers smaller: by the number of experts as long as there are many more
// than are chosen, then by half its width and its heads.
func shrink(s size.Shape) (size.Shape, error) {
	if n, used := s.Get("expert_count"), s.Get("expert_used_count"); n > max(fewExperts, 2*used) {
		groups := max(1, s.Get("expert_group_count"))
		half := n / 2
		if half%groups == 0 {
			return s.Set(map[string]int{"expert_count": half}), nil
		}
	}
	keys := map[string]int{}
	for _, name := range []string{"embedding_length", "feed_forward_length", "expert_feed_forward_length", "attention.head_count"} {
		n := s.Get(name)
		if n%2 != 0 || n == 0 && name == "embedding_length" {
			return s, fmt.Errorf("%s: %s of %d cannot be halved", s.Name, name, n)
		}
		keys[name] = n / 2
	}
	headsKV := max(1, s.Get("attention.head_count_kv")/2)
	for keys["attention.head_count"]%headsKV != 0 {
		headsKV--
	}
	keys["attention.head_count_kv"] = headsKV
	return s.Set(keys), nil
}
