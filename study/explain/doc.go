// Package explain looks into a model at work, through the engine's own hooks.
//
// In order of use:
//
//   - [Predict] tells the distribution of the next token, the standing of given words in it, what each sampler of a chain removes, and what the layers would say.
//   - [Record] keeps what the hooks show of one evaluation: attention probabilities of every head, the residual stream, the router's choices. [Trace.Lens] applies the head to it.
//   - [NewStudy] watches the probability of a word; [Study.Sweep] takes parts out of the model one at a time, a neuron, a head, an expert, a block, and tells what that does to
//     the word; [Study.Thin] takes out random fractions of all neurons. [Without] and [Thinned] are the hooks that do it.
//   - [ThinWeights] sets random fractions of the weights to zero instead, in copies of the model.
//   - [Examine] does all of that for one prompt, within bounds that it tells, and [Report.Page] makes a document of it.
//
// # Ablation
//
// A part that is taken out gives zeros in place of its numbers, at every position (zero ablation; Michel et al. 2019, arXiv:1905.10650, for heads). The rest of the model is as it
// was, and is computed by the same kernels: the rows of many ablated copies stand in one batch, each with a hook of its own, so that a sweep over all neurons of a small model takes
// seconds. A hook that takes nothing out changes no bit.
package explain
