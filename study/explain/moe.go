package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf/names"
)

// MoE is where a model has experts, and how many bytes they are.
type MoE struct {
	Arch        string  `json:"architecture"`
	Experts     int     `json:"experts"`      // experts of a layer
	Used        int     `json:"used"`         // experts that a token uses in a layer
	Layers      []int   `json:"layers"`       // layers with experts
	ExpertBytes []int64 `json:"expert_bytes"` // bytes of one expert of each of Layers
	// OtherBytes are what a token reads besides, shared experts and routers included.
	OtherBytes int64 `json:"other_bytes"`
}

// MoEOf returns where a model has experts. A model without any is an error.
func MoEOf(m *goinfer.Model) (MoE, error) {
	c := m.Info().Config
	s := MoE{Arch: c.Arch, Experts: c.NExpert, Used: c.NExpertUsed}
	bytes := map[int]int64{}
	for _, t := range m.Info().Tensors {
		size := t.Bytes()
		layer, expert := expertLayer(t.Name)
		switch {
		case expert && t.Of == c.NExpert && strings.Contains(t.Name, "_exps"):
			bytes[layer] += size / int64(t.Of)
		case expert && t.Of == c.NExpert: // a tensor of one expert
			if strings.Contains(t.Name, ".0.") {
				bytes[layer] += size
			}
		default:
			s.OtherBytes += t.ReadBytes()
		}
	}
	for layer := range bytes {
		s.Layers = append(s.Layers, layer)
	}
	if slices.Sort(s.Layers); len(s.Layers) == 0 || s.Experts < 2 {
		return s, fmt.Errorf("the model has no experts: every token uses all of its weights (architecture %s)", c.Arch)
	}
	for _, layer := range s.Layers {
		s.ExpertBytes = append(s.ExpertBytes, bytes[layer])
	}
	return s, nil
}

// expertLayer is the layer that a tensor of experts is in.
func expertLayer(name string) (layer int, ok bool) {
	n := names.Parse(name)
	return n.Layer, n.Layer != names.None && strings.HasPrefix(n.Base, "ffn_")
}

// BytesPerToken is the bytes of weights that a token reads if it uses k experts in each layer.
func (s *MoE) BytesPerToken(k int) int64 {
	n := s.OtherBytes
	for _, b := range s.ExpertBytes {
		n += int64(k) * b
	}
	return n
}

// index is the index of a layer in Layers, -1 for one without experts.
func (s *MoE) index(layer int) int {
	i, ok := slices.BinarySearch(s.Layers, layer)
	if !ok {
		return -1
	}
	return i
}

// only checks that layers have experts and sorts them; none given are all of s.
func (s *MoE) only(layers []int) ([]int, error) {
	if len(layers) == 0 {
		return s.Layers, nil
	}
	for _, l := range layers {
		if s.index(l) < 0 {
			return nil, fmt.Errorf("layer %d has no experts: the layers that do are %s", l, ranges(s.Layers))
		}
	}
	some := slices.Clone(layers)
	slices.Sort(some)
	return slices.Compact(some), nil
}

// ranges writes sorted numbers as "0-3, 5".
func ranges(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(n[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
