package goinfer

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model/arch"
)

// Memory is what a model needs, in bytes.
type Memory struct {
	Weights int64 // as stored in the file
	Cache   int64 // cache of one generation that fills its context; taken as it fills
	Token   int64 // cache of one position, in the layers that remember all of them
	State   int64 // states of the recurrent layers, part of the cache
	Scratch int64 // activations of a full batch
}

// Total is the sum.
func (m Memory) Total() int64 { return m.Weights + m.Cache + m.Scratch }

// estimate works out what follows from a file's header.
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
	store, err := kv.New(kv.Config{Layers: net.State(), KType: o.CacheK, VType: o.CacheV})
	if err != nil {
		return need, err
	}
	if need.Cache = store.Need(o.Context, o.Batch); need.Cache > math.MaxInt64/4 {
		return need, fmt.Errorf("the cache of %d positions in %d layers: %w", o.Context, c.NLayer, ErrMemory)
	}
	need.Token, need.State = store.TokenBytes(), store.StateBytes()
	if o.CacheBytes > 0 {
		need.Cache = min(need.Cache, o.CacheBytes)
	}
	return need, need.check(o)
}

// check compares the need with what the machine has left.
func (m Memory) check(o Options) error {
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
func Bytes(n int64) string {
	v, i := float64(n), 0
	for v >= 1024 && i < 5 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[i-1])
}
