package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/fault"
)

// CheckModel returns an error that wraps [gguf.ErrUnsupported] and says what an open file is, if it
// is of the kinds of GGUF files that are no models: adapters, projectors, importance matrices,
// control vectors.
func CheckModel(f *gguf.File) error {
	text := func(key string) string {
		v, _ := f.Value(key)
		s, _ := v.Text()
		return s
	}
	what := ""
	switch typ, arch := text("general.type"), text("general.architecture"); {
	case typ == "adapter":
		what = "a LoRA adapter, which changes a model and is none"
	case typ == "mmproj" || arch == "clip":
		what = "a projector of images or sounds (mmproj), which serves a model beside it and is none: want the model's own file"
	case typ == "imatrix":
		what = "an importance matrix, which is made from a model and is none"
	case arch == "controlvector":
		what = "a control vector, which steers a model and is none"
	default:
		return nil
	}
	return notModel(f.Path(), what)
}

// checkFolder returns an error for the folder of a checkpoint of a kind that cannot be read.
func checkFolder(dir string) error {
	path := filepath.Join(dir, "config.json")
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > hf.MaxConfig {
		return nil // whoever reads it says what is wrong
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.System(err)
	}
	var c struct {
		Quantization *struct {
			GroupSize int `json:"group_size"`
			Bits      int `json:"bits"`
		} `json:"quantization"`
	}
	if json.Unmarshal(data, &c) != nil || c.Quantization == nil || c.Quantization.Bits == 0 {
		return nil
	}
	q := c.Quantization
	what := fmt.Sprintf("a checkpoint of MLX with weights of %d bits in groups of %d, which are not read here: want the model it was made from, or a GGUF file of it", q.Bits, q.GroupSize)
	return fault.In(dir, fault.Of(gguf.ErrUnsupported, errors.New(what)))
}
