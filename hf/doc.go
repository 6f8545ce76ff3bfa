// Package hf opens Hugging Face checkpoints: a folder with config.json, weights in safetensors
// files, and a tokenizer becomes a [gguf.File] that exists in memory alone, with metadata and
// tensors under GGUF's names. Everything that takes a GGUF file takes a checkpoint: one engine
// binds both, and writing the file out converts the folder.
//
//	f, err := hf.Open("Llama-3.2-1B", arch.Families(), gguf.Options{}) // or a .gguf file
//
// # How a folder becomes a file
//
//   - config.json is read by the [Family] that its architectures or model_type name: a declaration
//     of the keys, the names of tensors, and what is done to them, which stands in the file of the
//     architecture in model/arch. [ReadConfig] does this alone.
//   - Each tensor is brought to its place (names.go). Most stay where they are: their bytes are
//     views of the mapped file. Where GGUF wants something else (rows of queries and keys in the
//     order in which RoPE rotates neighbours, experts in one tensor, vectors in float32), the bytes
//     are made when they are asked for (weight.go). Experts stay views even then, since each is
//     asked for by itself.
//   - Tensors that belong together because they are quantised become one weight (packed.go).
//   - The tokenizer's files become the vocabulary (vocab.go).
//
// A tensor that has no place is left out, and the file's notes say so.
//
// # Trust
//
// All files of a folder are hostile until proven otherwise. Faults are single errors that name the
// file, the key or tensor, and what was found.
package hf
