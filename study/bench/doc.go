// Package bench measures how fast models run, in the shape that users of llama-bench know, and how near that is to what the machine can do.
//
// In order of use:
//
//   - [Open] makes a [Subject] of what package source finds by a name, [Of] of a shape; [Subject.Load] makes a [Model] of it, in other types if a level is given.
//   - A [Case] is a model with [Settings] and a [Test]: so many prompt tokens, then so many generated ones, at a depth, in so many sequences.
//     [Case.Check] says whether it can be done at all.
//   - [Runner.Run] measures one and returns a [Result], whose JSON has the keys of llama-bench's. With a [Peer] it has that program measure the same, in turns.
//
// A sketch:
//
//	src, err := source.Resolve("tinyllama.gguf")
//	s, err := bench.Open(src)
//	m, err := s.Load(ctx, "", nil)
//	defer m.Close()
//	r := bench.Runner{Repetitions: 5, Warmup: true, Probe: true}
//	res, err := r.Run(ctx, bench.Case{Model: m, Settings: bench.DefaultSettings(), Test: bench.Test{Gen: 128}})
//	fmt.Printf("%.1f tokens/s, %.2f of the bandwidth\n", res.AvgTs, res.BandwidthFraction)
//
// # What is measured
//
// Models run as they do for anyone who calls goinfer.Model.Generate. A prompt of random tokens is evaluated up to its first new token; that is pp512. Then every token
// generated takes a pass of its own; that is tg128, and begins with a prompt of one token. Generated tokens are random too, as in llama-bench: a model with experts
// would otherwise repeat itself, and with it the choice of experts. Several sequences first have all their prompts evaluated and then generate side by side, as in
// llama-batched-bench.
//
// # What the figures mean
//
// Generation reads the weights once per pass: [Result.GBs] is that many bytes per second. A row of the embedding counts, the rest of it only where it serves as the
// head; of experts the chosen ones count; the cache does not. It is compared with the bandwidth of reading memory, which package probe measures with as many
// threads right before and after every repetition, means with means: on shared machines it changes within seconds.
//
// A prompt takes two operations for each of its tokens and each weight of a matrix, and two for each weight of the head, once; attention is not counted.
// [Result.PeakFraction] is the time that these would take at the rates that package probe measures around it (of int8 dot products for quantised matrices, of float32
// multiply-adds for others) over the time they took. See Williams, Waterman and Patterson 2009, "Roofline", doi:10.1145/1498765.1498785.
//
// Ratios to a peer are geometric means over pairs of repetitions that ran one after the other, with the 95 % interval of Student's t over their logarithms.
package bench
