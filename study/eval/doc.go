// Package eval measures what models make of a text, and what quantisation costs.
//
// In order of use:
//
//   - [Chunks] cuts the tokens of a text into chunks as llama-perplexity does; [Spread] takes some
//     of them, evenly spread.
//   - [Perplexity] scores the second half of each chunk and returns a [Result].
//   - [Compare] does so with a base model too, and returns a [Comparison] of their predictions.
//   - [Continuation] scores one text after another, the form that evaluation harnesses need;
//     [Continue] and [Continued.Score] are its two halves. [Rank], [LogProb] and [KL] are what it
//     is made of.
//   - [CompareTypes] measures one model in several types: size, speed, perplexity, divergence, and
//     the continuation of a prompt. [TypesReport.Page] makes a document of it.
//   - [CollectImportance] measures an importance matrix, which package convert quantises with.
//
// # What the figures mean
//
// Perplexities are those of llama-perplexity on the same file, text and format of the cache, up to
// rounding. The Kullback–Leibler divergence is computed from the logits themselves, in nats, where
// llama-perplexity rounds those of the base model to 16 bits; 0 means that nothing changed.
//
// Of a long text some chunks are taken: the figures are those of the whole text up to the standard
// error that is given with them. Differences between types are much surer than that error, since
// all types predict the same tokens. Mean divergence distinguishes types sooner than perplexity
// does; its 99th percentile shows how bad the worst predictions are. A model that is quantised
// already loses twice: types are then compared with it, not with what it was made from.
//
// Speeds of types are measured alternately with those of the model as it is, and compared in pairs,
// with the 95 % interval of their ratio. Where other programs took more than a tenth of the
// processor time or of the bandwidth, speeds are not shown: see probe.Load.
package eval
