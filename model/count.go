package model

import (
	"fmt"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
)

// Use is what computing a token does with a tensor.
type Use uint8

const (
	Multiplied Use = iota // with the activations of every token
	LookedUp              // one row is read, none is multiplied: an embedding that is no head
	OutputHead            // multiplied with the activations of tokens whose logits are wanted
)

// Active is how many weights are active parameters, as models are published: those of the experts
// that a token is given to, and all of every other tensor, an embedding too.
func (t Tensor) Active() int64 {
	if t.Use == LookedUp {
		return t.Elements()
	}
	return t.Read()
}

// Read is how many weights are read to compute one token: of experts those that are chosen, one row
// of an embedding that is no head, and all of every other tensor.
func (t Tensor) Read() int64 { return t.Elements() * int64(t.Used) / int64(t.Of) }

// ReadBytes is what Read weights take in their type, in bytes.
func (t Tensor) ReadBytes() int64 { return t.Bytes() * int64(t.Used) / int64(t.Of) }

// Counts are sums over the tensors of a model.
type Counts struct {
	Params    int64 // number of weights
	Bytes     int64 // size of the weights in their types, without padding
	Active    int64 // active parameters, see [Tensor.Active]
	Read      int64 // weights that computing one token reads, see [Tensor.Read]
	ReadBytes int64 // size of these in bytes
}

// Count sums up tensors.
func Count(ts []Tensor) Counts {
	var c Counts
	for _, t := range ts {
		c.Params += t.Elements()
		c.Bytes += t.Bytes()
		c.Active += t.Active()
		c.Read += t.Read()
		c.ReadBytes += t.ReadBytes()
	}
	return c
}

// Memory is what running a model takes, in bytes.
type Memory struct {
	Weights int64 // size of the weights as stored, in files and in copies
	Cache   int64 // of all sequences with full contexts, checkpoints included; taken as it fills
	Token   int64 // part of the cache for one position, in the layers that remember all of them
	State   int64 // part of the cache for what recurrent layers carry from position to position
	Scratch int64 // activations of a full batch
}

// Total is the sum of weights, cache and scratch.
func (m Memory) Total() int64 { return m.Weights + m.Cache + m.Scratch }

// maxCache bounds an estimated cache, so that sums of memory do not overflow.
const maxCache = 1 << 60

// EstimateMemory works out the memory of a model whose weights take so many bytes, with a cache c
// for so many sequences, at least one, which grow to context positions by at most batch at a time.
// Scratch is left to whoever knows it. A cache beyond any machine is fault.ErrMemory.
func EstimateMemory(weights int64, c kv.Config, context, batch, sequences int) (Memory, error) {
	store, err := kv.New(c)
	if err != nil {
		return Memory{}, err
	}
	one := store.Need(context, batch)
	if one > maxCache/int64(sequences) {
		return Memory{}, fault.Of(fault.ErrMemory, fmt.Errorf("a cache for %d contexts of %d is beyond any machine", sequences, context))
	}
	return Memory{Weights: weights, Cache: one * int64(sequences), Token: store.TokenBytes(), State: store.StateBytes()}, nil
}
