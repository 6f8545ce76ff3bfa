// Package model converts a file into something that can be run: its metadata into a [Config], its
// tensors into the parts of package nn, its vocabulary into a tokenizer. What the parts are
// assembled into is the business of the architectures in model/arch.
//
// In order of use:
//
//   - [ReadConfig] reads the hyper-parameters from the metadata of a GGUF file, [Vocabulary] the
//     tokenizer.
//   - [NewWeights] is the builder that an architecture takes its parts from, by name and shape:
//     w.Linear("output", n_embd, n_vocab), w.Block(3).Norm("attn_norm", n_embd). The first missing
//     name or wrong shape sticks and is returned by [Weights.Err], so that an architecture need not
//     look at every step.
//   - An architecture is a [Model]: the state it keeps per layer, and Forward and Logits over an
//     nn.Pass.
//   - [Weights.Tensors] lists what the architecture took, and how much of it a token needs; with a
//     builder of [BindShapes] without any weights.
//   - [Weights.Unused] lists the tensors that the architecture left alone, so that nothing is
//     dropped silently.
//
// The package's example spells out one architecture, Llama, from its weights to its logits: begin
// there.
//
// Metadata keys and tensor names are those of GGUF:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package model
