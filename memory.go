package goinfer

import (
	"fmt"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
)

// Memory is what a model needs, in bytes: Weights as stored in its files and in copies, Cache of
// one generation that fills its context, Token and State of it for a position and for recurrent
// layers, and Scratch for the activations of a full batch. Total is the sum of the three.
type Memory = model.Memory

// estimate works out the memory that a file needs from its header.
func estimate(f *gguf.File, c Config, o Options) (Memory, error) {
	var need Memory
	if len(f.Tensors()) == 0 {
		return need, fmt.Errorf("%w file: it has no tensors", ErrUnsupported)
	}
	for _, t := range f.Tensors() {
		need.Weights += t.Bytes
	}
	if c.NLayer > len(f.Tensors()) {
		return need, fmt.Errorf("want tensors of %d layers, found %d tensors", c.NLayer, len(f.Tensors()))
	}
	net, err := arch.Build(outline(f, c))
	if err != nil {
		return need, err
	}
	cache := kv.Config{Layers: net.State(), KType: o.CacheK, VType: o.CacheV}
	if need, err = model.EstimateMemory(need.Weights, cache, o.Context, o.Batch, 1); err != nil {
		return need, err
	}
	if o.CacheBytes > 0 {
		need.Cache = min(need.Cache, o.CacheBytes)
	}
	return need, checkMemory(need, o)
}

// checkMemory compares what a model needs with what the machine has left.
func checkMemory(m Memory, o Options) error {
	have, why, ok := mem.Available()
	if !ok || o.Overcommit || m.Total() <= have {
		return nil
	}
	hint := "a smaller model is needed"
	if m.Weights+m.Scratch < have {
		hint = fmt.Sprintf("a context of about %d would fit", (have-m.Weights-m.Scratch)/max(1, m.Cache/int64(o.Context)))
	}
	scratch := ""
	if m.Scratch > 0 { // it is not known before the weights are bound
		scratch = fmt.Sprintf(", scratch %s", Bytes(m.Scratch))
	}
	return fmt.Errorf("%w: weights %s, cache of %d positions %s%s, together %s; available are %s (%s); %s",
		ErrMemory, Bytes(m.Weights), o.Context, Bytes(m.Cache), scratch, Bytes(m.Total()), Bytes(have), why, hint)
}

// Bytes writes a size with a binary unit, such as "1.5 GiB".
func Bytes(n int64) string { return mem.Size(n) }
