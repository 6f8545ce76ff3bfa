// Package plan foretells what running a model takes on this machine: memory, and time per token.
//
// In order of use:
//
//   - [Need] works out [Memory] from the shape alone: weights, cache of keys and values, activations, the program.
//   - [Calibrate] measures how fast the machine runs models made of what a model is made of, and gives a [Speed]; [Speed.Predict] is what that means for the model.
//   - [Compare] has the model itself run in turns with its slices, and puts what was measured beside what was foretold.
//   - [Devices] counts accelerators, [Choose] the known models that fit.
//
// # How time is foretold
//
// A token costs a pass over the weights: t = fixed + bytes of active weights × s/byte + bytes of cached keys and values × s/byte. No constant of any machine is in the code. All
// three figures are measured on the real engine: on slices of the model, with random weights in the same types and of the same width but few layers, a small one and a larger
// one, at the beginning of a context and further on. The slices run in turns, and what counts are the fastest quarter of the rounds: on shared machines the bandwidth changes
// within minutes, and whatever else runs only adds time. A model whose layers do not fit is narrowed, and one that is small enough is its own slice.
//
// A prompt costs its operations, two for each weight that a token is multiplied with, at the rate at which the larger slice does them.
//
// The bandwidth of reading memory is measured beside it: no pass is faster than its bytes can be read (Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785).
package plan
