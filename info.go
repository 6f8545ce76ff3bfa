package goinfer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
)

// Info is what is known of an open model. It stays valid after Close.
type Info struct {
	Path   string // the file or folder, or the name of what is in memory
	Config Config // hyper-parameters
	// Metadata is the file's, in its order; arrays are cut to some elements.
	Metadata []MetaValue
	// ChatTemplate is the model's own, in Jinja; empty if the file has none.
	ChatTemplate string
	// FileType is the name of the mix of types that the weights are in, such as "Q4_K_M", as far
	// as the file says.
	FileType string
	// Encoder models read texts as a whole, both ways (BERT and its kin), and make hidden states of
	// them, but neither logits nor text.
	Encoder bool
	// Pooling is how the model's embeddings are made where a request does not say.
	Pooling Pooling
	// Tensors are those that take part, in the order in which the architecture asked for them.
	Tensors []Tensor
	// Memory is what the model was estimated to need.
	Memory Memory
	// Warnings say what was ignored or refused while opening, one line each.
	Warnings []string
	Threads  int // at work
	Context  int // positions that a request may use
}

// Info reports the facts about the model. The slices are shared and not to be changed.
func (m *Model) Info() Info { return m.info }

// infoArray is how many elements of an array in the metadata Info keeps.
const infoArray = 64

// newInfo collects what a file's header and its configuration say.
func newInfo(f *gguf.File, cfg Config, need Memory) Info {
	info := Info{
		Path: f.Path(), Config: cfg, Memory: need, Warnings: slices.Clone(f.Notes()),
		Metadata: describe(f, infoArray).Metadata, Encoder: arch.Encoder(cfg.Arch), Pooling: cfg.Pooling,
	}
	info.ChatTemplate, _, _ = model.GGUF(f).Text("tokenizer.chat_template")
	if t, ok := f.FileType(); ok {
		info.FileType = t.String()
	}
	switch {
	case info.Pooling != PoolDefault:
	case info.Encoder:
		info.Pooling = PoolMean
	default:
		info.Pooling = PoolLast
	}
	return info
}

// identity names a model and the options that its bits depend on: a hash of the header and of some
// rows of every tensor, the types of the cache, the context (by which LongRoPE chooses its
// factors), and the instruction set.
func identity(f *gguf.File, o Options) string {
	h := sha256.New()
	info := describe(f, infoArray)
	fmt.Fprintln(h, info.Version, info.Size, info.Metadata)
	for _, t := range f.Tensors() {
		fmt.Fprintln(h, t.Name, t.Type, t.Shape, t.Bytes)
		rows, buf := 1, make([]byte, t.Type.RowBytes(t.Shape[0]))
		for _, n := range t.Shape[min(1, len(t.Shape)):] {
			rows *= n
		}
		for _, row := range []int{0, rows / 2, rows - 1} {
			h.Write(f.ReadRows(buf, &t, row, 1))
		}
	}
	isa, _ := cpu.ISA()
	return fmt.Sprintf("model %s, cache %s/%s, context %d, instruction set %s, exact %t", hex.EncodeToString(h.Sum(nil)[:16]), o.CacheK, o.CacheV, o.Context, isa, o.Exact)
}
