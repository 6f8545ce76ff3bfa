package hf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/safetensors"
)

// unpack lists the weights that the tensors of a checkpoint are: each by itself, or several
// together where it is quantised. Tensors of types that are no weights are left out.
//
// Known are GPTQ (Frantar et al. 2022, arXiv:2210.17323) and AWQ (Lin et al. 2023,
// arXiv:2306.00978) in packed_groups.go, and floating point in eight bits, with or without scales,
// in packed_f8.go.
func unpack(c *Config, ts []safetensors.Tensor) ([]named, error) {
	by := make(map[string]*safetensors.Tensor, len(ts))
	for i := range ts {
		by[ts[i].Name] = &ts[i]
	}
	q := c.Object("quantization_config", "compression_config")
	method := q.Text("quant_method")
	// of a tensor with that name, if it is the first of a group; with the names of the others
	var unpack func(name string) (weight, []string, error)
	switch method {
	case "gptq", "awq":
		g, err := readGroups(q, method, by)
		if err != nil {
			return nil, err
		}
		unpack = g.unpack
	case "", "fp8", "fbgemm_fp8", "compressed-tensors":
		if f := q.Text("format"); f != "" && f != "float-quantized" && f != "naive-quantized" && f != "dense" {
			return nil, fault.Bad(c.path, fmt.Errorf("quantization_config: %w format %s: want float-quantized", ErrUnsupported, quoted(f)))
		}
		unpack = eights{by: by, block: f8Block(q)}.unpack
	default:
		return nil, fault.Bad(c.path, fmt.Errorf("quantization_config: %w quant_method %s: want gptq, awq, fp8 or compressed-tensors", ErrUnsupported, quoted(method)))
	}
	if *c.err != nil {
		return nil, *c.err
	}
	consumed := map[string]bool{}
	made := map[string]named{}
	for i := range ts {
		w, parts, err := unpack(ts[i].Name)
		if err != nil {
			return nil, fault.Bad(ts[i].Path, fmt.Errorf("tensor %s: %w", quoted(ts[i].Name), err))
		}
		if parts == nil {
			continue
		}
		name := strings.TrimSuffix(ts[i].Name, ".qweight")
		if name != ts[i].Name {
			name += ".weight"
		}
		made[ts[i].Name] = named{name, w}
		for _, p := range parts {
			consumed[p] = true
		}
	}
	var ws []named
	for i := range ts {
		n, isMade := made[ts[i].Name]
		switch {
		case isMade:
			ws = append(ws, n)
		case consumed[ts[i].Name]:
		case isActivationScale(ts[i].Name): // activations are not rounded here
		default:
			if w, ok := plain(&ts[i]); ok {
				ws = append(ws, named{ts[i].Name, w})
			}
		}
	}
	return ws, nil
}

// isActivationScale reports whether a tensor says how activations, keys or values are rounded.
func isActivationScale(name string) bool {
	for _, s := range []string{".input_scale", ".activation_scale", ".input_scale_ub", ".k_scale", ".v_scale", ".output_scale"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// wantShape checks the type and the shape of a tensor that belongs to another.
func wantShape(t *safetensors.Tensor, types []safetensors.DType, shape ...int) error {
	if !slices.Equal(t.Shape, shape) || !slices.Contains(types, t.DType) {
		return fmt.Errorf("%s is %s %v: want one of %v with the shape %v", quoted(t.Name), t.DType, t.Shape, types, shape)
	}
	return nil
}
