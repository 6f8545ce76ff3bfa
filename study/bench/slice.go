package plan

import (
	"fmt"

	"github.com/goinfer/goinfer/study/catalog"
	"github.com/goinfer/goinfer/study/params"
)

// slice returns two shapes that are made of what the model is made of, the larger one of at most budget bytes: with few layers and with more. Where a layer is too large they
// have fewer experts, and at last less of everything. A model that is small enough is both.
func slice(m *params.Model, budget int64) (small, large catalog.Shape, err error) {
	s, err := m.Twin()
	if err != nil {
		return s, s, err
	}
	if n, err := bytesOf(s, m.Recipe); err != nil || n <= budget {
		return s, s, err
	}
	// Layers without experts stand before those that have some: one of them is kept.
	dense := min(1, s.Get("leading_dense_block_count"))
	first := max(1+dense, s.Get("interleave_moe_layer_step"))
	s = s.Set(map[string]int{"leading_dense_block_count": dense, "nextn_predict_layers": 0})
	for {
		layers, err := layersWithin(s, m.Recipe, budget, first)
		if err != nil {
			return s, s, err
		}
		if layers >= 3*first {
			return withLayers(s, max(first, layers/3)), withLayers(s, layers), nil
		}
		if s, err = shrink(s); err != nil {
			return s, s, err
		}
	}
}

func withLayers(s catalog.Shape, n int) catalog.Shape { return s.Set(map[string]int{"block_count": n}) }

// layersWithin is the most layers, from first on, with which a shape takes no more than budget bytes; fewer than first where there are none.
func layersWithin(s catalog.Shape, recipe string, budget int64, first int) (int, error) {
	low, high := first-1, s.Get("block_count")
	for high-low > 1 {
		mid := (low + high) / 2
		n, err := bytesOf(withLayers(s, mid), recipe)
		if err != nil {
			return 0, err
		}
		if n <= budget {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

func bytesOf(s catalog.Shape, recipe string) (int64, error) {
	ts, _, err := s.Types(recipe, false)
	return catalog.Count(ts).Bytes, err
}

// shrink makes a shape's layers smaller: by the number of experts as long as there are many more than are chosen, then by half its width and its heads.
func shrink(s catalog.Shape) (catalog.Shape, error) {
	if n, used := s.Get("expert_count"), s.Get("expert_used_count"); n > max(8, 2*used) {
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
	kv := max(1, s.Get("attention.head_count_kv")/2)
	for keys["attention.head_count"]%kv != 0 {
		kv--
	}
	keys["attention.head_count_kv"] = kv
	return s.Set(keys), nil
}
