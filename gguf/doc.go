// Package gguf reads and writes GGUF files: metadata, and tensors as byte ranges. What they mean is
// the business of others.
//
// In order of use:
//
//   - [Open] maps a file (or all files of a split model, whichever is named), [OpenBytes] takes one
//     in memory. Both check the whole header.
//   - [File.Value] finds metadata; a [Value] decodes on demand: v.Uint(), v.Text(), v.Strings() …
//   - [File.Tensor] finds a tensor, [File.Data] gives its bytes, a view that lives until
//     [File.Close].
//   - [Writer] makes files, and [Compose] a virtual [File] out of files of another format.
//
// A sketch:
//
//	f, err := gguf.Open("model.gguf", gguf.Options{})
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	v, ok := f.Value("general.architecture")
//	t, ok := f.Tensor("token_embd.weight")
//	row := f.Data(t)[:t.Type.RowBytes(t.Shape[0])]
//
// # The format
//
// All numbers are little-endian. After "GGUF" come the version (uint32), the numbers of tensors and
// of metadata entries (uint64 each). An entry is a key (a string: length as uint64, bytes), a type
// (uint32) and a value; an array is an element type, a length (uint64) and its elements. A tensor
// is a name, a number of dimensions (uint32), the dimensions (uint64 each, the fastest first), a
// type (uint32) and an offset (uint64) into the data, which begins at the next multiple of
// general.alignment (32 by default). Versions 2 and 3 differ in nothing that concerns little-endian
// files. Specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
//
// # Trust
//
// Files are hostile until proven otherwise: every count, length, offset and product is checked
// against the size of the file before anything is allocated or followed, and a fault is a
// [FormatError] that names the file, the place and what was found. Array elements stay in the file
// and are decoded when asked for.
package gguf
