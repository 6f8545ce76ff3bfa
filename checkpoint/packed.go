package checkpoint

import (
	"fmt"

	"github.com/goinfer/goinfer/safetensors"
)

// unpack lists the weights that the tensors of a checkpoint are: each by itself, or several together where config.json has a quantization_config. Tensors of types that are no
// weights are left out.
func unpack(c *config, ts []safetensors.Tensor) ([]named, error) {
	if method := c.object("quantization_config").string("quant_method"); method != "" {
		return nil, fmt.Errorf("checkpoint: %s: quantization_config: %w quant_method %s", c.path, ErrUnsupported, quoted(method))
	}
	var ws []named
	for i := range ts {
		if w, ok := plain(&ts[i]); ok {
			ws = append(ws, named{ts[i].Name, w})
		}
	}
	return ws, nil
}
