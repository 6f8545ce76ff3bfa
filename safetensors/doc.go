// Package safetensors reads model weights in the safetensors format: names, types, shapes and byte
// ranges. What they mean is the business of others.
//
// [Open] maps one file, or all files that an index (model.safetensors.index.json) names; [OpenDir]
// finds which of the two a folder has. [File.Tensors] lists what is there in the order of the
// files, [File.Tensor] finds a tensor by name, and [Tensor.Data] is its bytes, a view that lives
// until [File.Close].
//
//	f, err := safetensors.OpenDir("checkpoint", safetensors.Options{})
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	t, ok := f.Tensor("model.embed_tokens.weight")
//	use(t.DType, t.Shape, t.Data)
//
// # The format
//
// A file begins with the length of its header (uint64, little-endian). The header is a JSON object:
// under each tensor's name an object with its dtype, its shape (slowest dimension first) and
// data_offsets, the beginning and the end of its bytes, counted from the end of the header; under
// __metadata__ an object of strings. Tensors are stored one after the other, without overlap or
// hole, to the end of the file. Specification: https://github.com/huggingface/safetensors#format.
//
// An index is a JSON object whose weight_map says in which file of the folder each tensor is.
//
// # Trust
//
// Files are hostile until proven otherwise. Every rule above is checked before anything is
// followed, and a fault is a [FormatError] that names the file, the tensor, and what was found.
// Names that occur twice, which many JSON parsers let pass, are faults too.
package safetensors
