// Command gen makes the model files of package embedded from their 16-bit originals, which are part of the reference data:
//
//	go generate ./cmd/goinfer/embedded
//
// The originals are looked for in the folder named by GOINFER_SHARED, by default "shared" beside the module. Matrices become Q8_0; what the originals
// keep in 32 bits (norms, routers) stays as it is.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/quant"
)

var names = []string{"tiny-dense", "tiny-moe"}

// fileTypeQ8_0 is what Q8_0 files say about themselves (llama.h, enum llama_ftype).
const fileTypeQ8_0 uint32 = 7

func main() {
	dir := os.Getenv("GOINFER_SHARED")
	if dir == "" {
		dir = filepath.FromSlash("../../../../shared") // go generate runs in the folder of package embedded
	}
	for _, name := range names {
		if err := make8(source(dir, name), target(name)); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}

func source(dir, name string) string { return filepath.Join(dir, "models", name, name+"-f16.gguf") }

func target(name string) string { return name + "-q8_0.gguf" }

// make8 writes the model in file from to file to, its matrices in Q8_0.
func make8(from, to string) error {
	f, err := gguf.Open(from, gguf.Options{})
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := convert(f)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return w.WriteFile(to)
}

func convert(f *gguf.File) (*gguf.Writer, error) {
	w := gguf.NewWriter()
	for _, key := range f.Keys() {
		var value any
		value, _ = f.Value(key)
		if key == "general.file_type" {
			value = fileTypeQ8_0
		}
		if err := w.Set(key, value); err != nil {
			return nil, err
		}
	}
	if err := w.Set("general.quantization_version", quant.FormatVersion); err != nil {
		return nil, err
	}
	for _, t := range f.Tensors() {
		as, data := t.Type, f.Data(&t)
		if t.Type == quant.F16 {
			row := make([]float32, len(data)/2)
			quant.F16ToF32(row, data)
			as, data = quant.Q8_0, make([]byte, quant.Q8_0.RowBytes(len(row)))
			if err := quant.Quantize(as, data, row); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		if err := w.Add(t.Name, as, t.Shape, data); err != nil {
			return nil, err
		}
	}
	return w, nil
}
