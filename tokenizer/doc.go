// Package tokenizer converts text to the ids that a language model reads, and the ids that it
// writes to text.
//
// A vocabulary comes from the metadata of a GGUF file as a [Config]; [New] checks it and makes a
// [Tokenizer], which never changes and serves any number of goroutines. [Tokenizer.Encode] and
// [Tokenizer.Decode] are the two directions; a [Stream] decodes ids as they are generated, without
// ever showing half a character.
//
//	c := tokenizer.NewConfig(tokenizer.ModelBPE)
//	c.Pre, c.Tokens, c.Types, c.Merges = …
//	t, err := tokenizer.New(c)
//	ids := t.Encode(nil, "Hello, world", true, false)
//	out := t.NewStream(tokenizer.StreamConfig{})
//	for _, id := range generated {
//		if t.IsEOG(id) {
//			break
//		}
//		os.Stdout.Write(out.Push(id))
//	}
//	os.Stdout.Write(out.Flush())
//
// # The way of a text
//
// Text → special tokens → normalisation → words → pieces → ids.
//
// Special tokens are found in the raw text first, the longest before the others; user-defined ones
// always, control tokens only if the caller says that the text may spell them. What is between them
// is normalised (spaces become U+2581, WordPiece drops case and accents, Unigram applies a map of
// characters), cut into words where the model does so, and each word is spelled in tokens by one of
// four algorithms:
//
//   - "llama", SentencePiece's BPE (Kudo and Richardson 2018, arXiv:1808.06226): merges the two
//     neighbours that make the token with the highest score. Words are not cut; a character without
//     a token is spelled in bytes, <0x00> to <0xFF>.
//   - "gpt2", byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019): merges
//     the pair that comes first in a list, starting from bytes. Words are cut by a pattern that
//     each family of models has its own of, the pre-tokeniser, named by tokenizer.ggml.pre. The
//     patterns are regular expressions; here they are hand-written scanners, made in the table of
//     pretok.go from the parts in scan.go.
//   - "bert", WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019, arXiv:1810.04805): the
//     longest token that fits, from left to right.
//   - "t5", Unigram (Kudo 2018, arXiv:1804.10959): the most likely of all spellings, found by
//     Viterbi's algorithm.
//
// "gemma4" and "whitespace" are BPE on characters instead of bytes.
//
// Ids agree with llama.cpp (llama-vocab.cpp, unicode.cpp), but for these:
//
//   - A [Config] with a [Pipeline], which a tokenizer.json makes (package hf), follows Hugging
//     Face's tokenizers in place of llama.cpp.
//   - Where llama.cpp approximates a pattern so that words come out in other pieces than the model
//     was trained on, the published pattern is followed: gpt-4o, tekken and
//     granite-embed-multi-97m, for which it leaves marks out of words, youtu, tiny_aya and kimi-k2,
//     for which it does not distinguish upper from lower case or takes other digits, and superbpe,
//     for which it knows the digits 0-9 only.
//   - A byte that is not UTF-8 is one unknown character. To llama.cpp's SentencePiece the first
//     byte of a character makes one with whatever follows, and elsewhere it decodes what only looks
//     like UTF-8 (overlong forms, surrogates).
//   - Unigram spells unknown characters in bytes if the vocabulary has them, and only the whole
//     text of a user-defined token is kept from normalisation, as in SentencePiece; llama.cpp never
//     does the one, and keeps beginnings as well.
//   - Of special tokens of equal length that overlap in the text, the one with the lower id is
//     found; which one llama.cpp finds is left to chance.
//
// # Hostile vocabularies
//
// A Config is not trusted. What contradicts itself is refused with an error of one line that wraps
// [ErrFormat]; an unknown model or pre-tokeniser with one that wraps [ErrUnsupported]. Memory is
// proportional to the size of the vocabulary and of the text. Encode takes time n log n in the
// length n of the text, times the length of the longest token in the worst case.
package tokenizer
