// Package size works out what a model needs before there is a model: where its parameters are, how
// many bytes they take in any type, what the cache of keys and values grows by with each token, and
// how much memory and time running it will take. No weight is read.
//
// In order of use:
//
//   - [Known], [Open] and [FromGGUF] make a [Layout]: hyper-parameters,
//     tensors, and what the cache keeps, of a known model, from the header of a file, or from a
//     config.json. [Layout.As] gives every tensor the type that it has in a file of a given type.
//   - [Layout.Breakdown] counts the parameters by component and by layer; [Layout.Footprint] is the
//     memory for a [Workload].
//   - [NewEstimate] compares types, contexts and numbers of sequences with this machine's memory.
//     With a [Speed], which bench.Calibrate measures, [Speed.Predict] gives the time of a token,
//     and [Choose] lists the known models that fit and are fast enough.
//   - [ShapeNames] and [FindShape] look up the [Shape] of a published model, and [Shape.Random]
//     writes a file of that shape with random weights: measuring speed and memory takes the sizes
//     of a model, not what it has learnt.
//
// # What is counted
//
// The tensors are those that the architecture asks for when it is given the hyper-parameters: what
// is counted is what is computed with. Tensors that take no part, such as layers that predict
// further tokens, and factors of RoPE, which are not learnt, are not counted.
//
// Active parameters are those of the experts that a token is given to, and all others, the
// embedding too, as models are published. What a token reads is less: one row of the embedding,
// unless the embedding is the output matrix as well. Both are defined by model.Tensor.
//
// # How time is predicted
//
// A token takes one pass over the weights:
//
//	t = fixed + active bytes × s/byte + bytes of cached keys and values × s/byte
//
// and each token of a prompt its operations, two for each weight that it is multiplied with, at
// s/op. No constant of any machine is in the code: a [Speed] holds these four, measured on this
// machine. No pass is faster than its bytes can be read ([Prediction.Bound]; Williams, Waterman and
// Patterson 2009, "Roofline", doi:10.1145/1498765.1498785).
package size
