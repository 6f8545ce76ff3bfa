// Package engine computes tokens for requests: many at a time, over one model and one cache.
//
// In order of use:
//
//   - [New] starts an engine: a goroutine that owns the model's cache and its scratch memory.
//   - [Engine.Generate] enters a [Request] and yields its [Piece] values as they are made;
//     [Engine.Score] evaluates a prompt for what it shows on the way; [Engine.Embed] and
//     [Engine.Unembed] make an embedding, and logits of any layer. Any number of goroutines may do
//     so at once.
//   - Leaving the loop, or cancelling its context, ends the request; the last piece says why a
//     request ended and what it took.
//   - [Engine.SaveState] and [Engine.LoadState] carry a conversation through a file.
//   - [Engine.Stats] counts; [Engine.Close] ends all requests and waits.
//
// # Rounds
//
// Each call enters a job. The jobs wait and run under package scheduler, which knows neither models
// nor tokens: it asks how many rows a job could use, has it reserve the cache for them, and takes
// the cache back where another needs it more. In a round the engine
//
//  1. ends the jobs that are at fault, done, or cancelled,
//  2. has the scheduler share out a batch (continuous batching; Yu et al. 2022, "Orca"): the rows
//     of generations first, then prompts in chunks, then jobs that waited,
//  3. runs the rows through the model's one loop over layers,
//  4. gives each job what became of its rows.
//
// A pass that is interrupted, because one of its requests was cancelled, is given up within a
// fraction of a layer; the others are run again. What a request yields depends on its own tokens,
// sampler and seed alone, never on the company it is computed in.
//
// # The cache
//
// Requests that begin alike share the pages of their common prefix: with each other, and with what
// package prefix keeps of those that have ended. A reused prefix gives the bits that computing it
// would give. Where layers have a window or a state, it is reused up to the last length that the
// cache can go back to: prompts are marked at a grid of lengths and at their end.
//
// When the cache is full, the job that came last gives its pages back and is computed again later,
// silently: callbacks and hooks see each position once. A job with a [Request.Hook] is never
// stopped, since the hook may have changed what it would find.
//
// # Several tokens at once
//
// A [Proposer], or a grammar that allows a single token, guesses what follows. The guesses are rows
// of the same pass. They are verified in order: the sampler chooses after each row as it would
// alone, and the first choice that differs from its guess ends the row of right ones. Since neither
// the batch nor the number of calls of a sampler changes a bit, the text is the same with any
// guesses. The cache takes the wrong ones back, states of recurrent layers included.
//
// # Code of the caller's
//
// Hooks, callbacks, samplers' stages and proposers run on the engine's goroutine, each under a
// guard: a panic, or the end of the goroutine, costs the request that it belongs to and no other. A
// [Watch] runs no code of the caller's: it copies what it wants into a queue, and drops what finds
// the queue full.
//
// # Adding a kind of work
//
// One file: a type with the methods of job, most of which sequence has. See score.go for a short
// one.
package engine
