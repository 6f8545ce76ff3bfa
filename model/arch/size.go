package arch

// Size is a known model of an architecture: its hyper-parameters without its weights.
type Size struct {
	Name  string
	About string // what it is, in a few words
	// Keys are the metadata, without the name of the architecture: "block_count".
	Keys  []Key
	Vocab Vocab
	// Optional are the full names of the tensors that the model has among those which it might
	// lack, such as output.weight; blk.* stands for every layer that asks.
	Optional []string
}

// Key is an entry of the metadata. Value is a uint32, a float32, a bool or a string.
type Key struct {
	Name  string
	Value any
}

// Vocab is the kind and the size of a vocabulary: tokenizer.ggml.model, tokenizer.ggml.pre, and the
// number of tokens.
type Vocab struct {
	Model, Pre string
	Size       int
}

// decoderSize are the hyper-parameters that decoders with attention share, under the names of the
// field. What is 0 is left out of the metadata, but for eps, of which 0 means 1e-5.
type decoderSize struct {
	ctx, embd, layers, ff int
	heads, headsKV        int
	dim                   int     // of a head; 0 means embd/heads
	rot                   int     // elements of a head that RoPE rotates; 0 means all
	base                  float32 // of RoPE
	eps                   float32 // of norms
	window                int     // of layers that do not see all positions
	experts, used         int
	ffExpert              int  // inner width of an expert where it is not ff
	shared                int  // experts that every token is given to
	dense                 int  // layers before the first with experts
	untied                bool // the output matrix is not the embedding
}

// size makes a size. optional are the names of tensors as in Size.Optional.
func (d decoderSize) size(name, about string, v Vocab, optional ...string) Size {
	if d.untied {
		optional = append([]string{"output.weight"}, optional...)
	}
	return Size{Name: name, About: about, Keys: d.keys(v.Size), Vocab: v, Optional: optional}
}

func (d decoderSize) keys(vocab int) []Key {
	dim, eps := d.dim, d.eps
	if dim == 0 {
		dim = d.embd / d.heads
	}
	if eps == 0 {
		eps = 1e-5
	}
	rot := d.rot
	if rot == 0 {
		rot = dim
	}
	keys := []Key{
		{"vocab_size", uint32(vocab)},
		{"context_length", uint32(d.ctx)},
		{"embedding_length", uint32(d.embd)},
		{"block_count", uint32(d.layers)},
		{"feed_forward_length", uint32(d.ff)},
		{"rope.dimension_count", uint32(rot)},
		{"rope.freq_base", d.base},
		{"attention.head_count", uint32(d.heads)},
		{"attention.head_count_kv", uint32(d.headsKV)},
		{"attention.layer_norm_rms_epsilon", eps},
	}
	if dim*d.heads != d.embd {
		keys = append(keys, Key{"attention.key_length", uint32(dim)}, Key{"attention.value_length", uint32(dim)})
	}
	for _, k := range []struct {
		name string
		n    int
	}{
		{"attention.sliding_window", d.window},
		{"expert_count", d.experts},
		{"expert_used_count", d.used},
		{"expert_feed_forward_length", d.ffExpert},
		{"expert_shared_count", d.shared},
		{"leading_dense_block_count", d.dense},
	} {
		if k.n > 0 {
			keys = append(keys, Key{k.name, uint32(k.n)})
		}
	}
	return keys
}

// with adds further entries of the metadata.
func (s Size) with(keys ...Key) Size {
	s.Keys = append(s.Keys, keys...)
	return s
}

func spm(size int) Vocab             { return Vocab{"llama", "default", size} }
func bpe(pre string, size int) Vocab { return Vocab{"gpt2", pre, size} }
