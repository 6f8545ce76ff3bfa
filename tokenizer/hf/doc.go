// Package hf reads the vocabularies of Hugging Face folders: tokenizer.json, tokenizer.model and
// its kin, tekken.json, vocab.json with merges.txt, vocab.txt, and what tokenizer_config.json, its
// kin and config.json say of tokens.
//
//	v, err := hf.Read("path/to/folder", hf.Options{})
//	t, err := tokenizer.New(v.Config)
//
// What comes out is a [tokenizer.Config] as the metadata of a GGUF file would have it, with a
// [tokenizer.Pipeline] for what GGUF cannot say: a folder means what its tokenizer.json says to
// Hugging Face's tokenizers, to the id. Only tokenizer.model, which says less, is read by
// llama.cpp's rules.
//
// # Budget
//
// Files are not trusted: regular files alone are read, of at most 256 MB. To read one takes at most
// 1 s and 64 MB of memory, and besides 2 µs and 40 bytes for each of its bytes. What asks for more
// is refused.
package hf
