// Package explain looks into a model at work, through the engine's own hooks.
//
// In order of use:
//
//   - [Predict] returns the distribution of the next token, the ranks of given words in it, what
//     each sampler of a chain removes, and what the layers would predict.
//   - [Record] keeps a [Trace] of one evaluation: attention probabilities of every head, the
//     residual stream, the largest activations of neurons, the decisions of routers, as much as is
//     asked for. [Trace.Lens] applies the head of the model to the residual stream.
//   - [NewAblation] watches the probability of a word; [Ablation.AblateAll] ablates parts of the
//     model one at a time, [Ablation.AblateRandom] random fractions of all neurons. [Without] and
//     [RandomNeurons] are the hooks that do it; [AblateRandomWeights] sets random fractions of the
//     weights to zero instead, in copies of the model.
//   - [Analyse] does all of that for one prompt, within bounds that it reports, and [Report.Page]
//     makes a document of it.
//   - [MoEOf] is where a model has experts. [MeasureRouters] counts the decisions of routers over a
//     text of any length: load, balance, idle experts, which are chosen together, and for which
//     kinds of tokens. [Trace.RouterPage] replays them token by token.
//   - [RouterOverride] has routers choose otherwise: another number of experts, some banned or
//     forced, equal weights, a random choice. [CompareRouters] compares what is generated with one;
//     [MeasureExpertCost] measures speed, bytes and divergence by the number of experts.
//
// # Ablation
//
// An ablated part gives zeros in place of its values, at every position (zero ablation; Michel et
// al. 2019, arXiv:1905.10650, for heads). The rest of the model is computed by the same kernels:
// the rows of many ablated copies share one batch, each with a hook of its own, so that the
// ablation of every neuron of a small model takes seconds. A hook that ablates nothing changes no
// bit.
//
// # Routers
//
// The entropy of a router is that of the probabilities that it gives to all experts, in nats: the
// softmax of its logits or, where it scores each expert by a sigmoid, the scores divided by their
// sum. Shazeer et al. 2017, arXiv:1701.06538; balance and specialisation: Fedus et al. 2021,
// arXiv:2101.03961; Jiang et al. 2024, arXiv:2401.04088.
package explain
