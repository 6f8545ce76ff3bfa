// Package explain looks into a model at work, through the engine's own hooks.
//
// In order of use:
//
//   - [Predict] tells the distribution of the next token, the standing of given words in it, what each sampler of a chain removes, and what the layers would say.
package explain
