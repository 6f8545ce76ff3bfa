// Package engine turns requests into tokens: many at a time, over one model and one cache.
//
// In order of use:
//
//   - [New] starts an engine: a goroutine that owns the model's cache and its scratch memory.
//   - [Engine.Generate] enters a [Request] and yields its [Piece] values as they are made. Any number of goroutines may do so at once.
//   - Leaving the loop, or cancelling its context, ends the request; the last piece says why a request ended and what it took.
//   - [Engine.Close] ends all requests and waits.
//
// A sketch:
//
//	e, err := engine.New(engine.Config{Model: m, Vocab: v, NCtx: 4096})
//	for piece, err := range e.Generate(ctx, engine.Request{Prompt: ids, Sampler: s}) {
//		…
//	}
//
// # How it works
//
// Each round the engine fills a batch: one row for every request that generates, then rows of
// prompts as far as there is room (continuous batching; Yu et al. 2022, "Orca"). It reserves the
// cache, runs the model's one Forward, and samples the rows that asked for an output. A round that
// is interrupted, because one of its requests was cancelled, is given up within a fraction of a
// layer; the others are run again.
//
// Requests that begin alike share the pages of their common prefix: with each other, and with the
// last few that have ended. A reused prefix gives the bits that computing it would give. Where
// layers have a window or a state, they share it up to the last length that the cache can go back
// to: prompts are marked at a grid of lengths and at their end.
//
// What a request yields depends on its own tokens, sampler and seed alone, never on the company it
// is computed in.
package engine
