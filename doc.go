// Package goinfer runs transformer language models in pure Go: a GGUF file goes in, text comes out.
//
//	m, err := goinfer.Open("tinyllama.gguf", goinfer.Options{})
//	if err != nil {
//		…
//	}
//	defer m.Close()
//	q := goinfer.Request{Prompt: "The sun rises in the", MaxTokens: 64}
//	for piece, err := range m.Generate(ctx, q) {
//		if err != nil {
//			…
//		}
//		os.Stdout.Write(piece.Bytes)
//	}
//
// [Open] maps the file, checks it, and binds its weights in the format they are stored in;
// [OpenSource] does the same for whatever package source finds by a name, and for a model in
// memory. A [Model] may be used from many goroutines: their generations are computed together, and
// the tokens of one do not depend on the others.
//
// [Request] says what to generate. The zero value of its Sampling is greedy; [DefaultSampling]
// returns what most programs use. Generation ends at the model's end-of-generation tokens, a stop
// string, a number of tokens, or the end of the context; the last [Piece] says which.
//
// [Model.Score] evaluates a prompt for its logits or hidden states and generates nothing;
// [Model.Embed] and [Model.Unembed] make an embedding, and logits of any layer. [Model.SaveState]
// and [Model.LoadState] keep a conversation's cache in a file. [Model.Info] has the facts, and
// [Model.Stats] the counts.
//
// Errors are of kinds that errors.Is finds ([ErrFormat], [ErrUnsupported], [ErrContextFull],
// [ErrCacheFull], [ErrBusy], [ErrInvalid], …), and carry facts that errors.As finds: an
// [ArgumentError] the field, a [FileError] the path, a [PanicError] the stack.
//
// A [Watch] copies what it wants of a computation into a queue, live. A [Hook] sees the computation
// from inside (router decisions, attention heads, activations, the state after each layer) and may
// change it.
//
// The same file, request and seed give the same text on the same machine, whatever the number of
// threads and the company a request runs in.
package goinfer
