// Package bench measures how fast models run, in the terms that users of llama-bench know, and how
// near that is to what the machine can do.
//
// In order of use:
//
//   - [Open] makes a [Subject] of what package source finds by a name, [Of] of a shape;
//     [Subject.Load] makes a [Model] of it, quantised to another type if one is given.
//   - A [Case] is [Settings] and a [Test]: so many prompt tokens, then so many generated ones, at a
//     depth, in so many sequences. [Case.Check] reports whether it can be measured at all.
//   - [Runner.Run] measures one and returns a [Result], whose JSON has the keys of llama-bench's.
//     With a [Baseline], another engine's llama-bench, it has that program measure the same,
//     alternately.
//   - A [Session] is a case of an open model, for callers that alternate models themselves.
//   - [Calibrate] measures the [size.Speed] from which package size predicts, on slices of a model;
//     [CheckPrediction] runs the model itself as well and compares.
//
// # What is measured
//
// Models run as they do for anyone who calls goinfer.Model.Generate. A prompt of random tokens is
// evaluated up to its first new token; that is pp512. Then every generated token takes a pass of
// its own; that is tg128, and begins with a prompt of one token. Generated tokens are random too,
// as in llama-bench: a model with experts would otherwise repeat itself, and with it the choice of
// experts. Several sequences first have all their prompts evaluated and then generate side by side,
// as in llama-batched-bench.
//
// # What the figures mean
//
// Generation reads the weights once per pass: [Result.GBs] is that many bytes per second
// (size.Work.ReadBytes: one row of an embedding that is no head, and of experts the chosen ones;
// the cache does not count). It is compared with the bandwidth of reading memory, which package
// probe measures with as many threads right before and after every repetition, means with means: on
// shared machines it changes within seconds.
//
// A prompt takes two operations for each of its tokens and each weight of a matrix, and two for
// each weight of the output matrix, once; attention is not counted. [Result.PeakFraction] is the
// time that these would take at the rates that package probe measures around it (of int8 dot
// products for quantised matrices, of float32 multiply-adds for others) over the time they took.
// See Williams, Waterman and Patterson 2009, "Roofline", doi:10.1145/1498765.1498785.
//
// Ratios to a baseline are geometric means over pairs of repetitions that ran one after the other,
// with the 95 % interval of Student's t over their logarithms.
//
// # How a calibration is done
//
// The four figures of a [size.Speed] are measured on the engine itself: on slices of the model,
// with random weights in the same types and of the same width but few layers, a small one and a
// larger one, at the beginning of a context and further on. The slices run alternately, and what
// counts is the fastest quarter of the rounds: on shared machines the bandwidth changes within
// minutes, and whatever else runs only adds time. A model whose layers are too large is narrowed,
// and one that is small enough is its own slice.
package bench
