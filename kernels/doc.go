// Package kernels holds the inner loops of the engine: products of weight blocks with activations,
// attention over a tile of keys, and the elementwise functions. It works on bytes and float slices,
// knows no tensors and starts no threads; callers split the work by output rows.
//
// In order of use:
//
//   - [Use] returns the [ISA] in use (see internal/cpu: "go", "avx512vnni" …), the table of all
//     that follows; [Reference] returns plain Go that keeps activations in float32, the engine's
//     own reference.
//   - Level.Mat finds the [Mat] of a weight type, when a weight is bound, never per row.
//   - [Acts] are the activations of some tokens, quantised once ([ISA.Quantize]) as Mat.Act asks
//     and shared by every product that reads them.
//   - Mat.Mul multiplies some rows of a weight with some tokens.
//   - [Attention] is the running softmax of query heads that share keys and values, into which
//     Level.Fold takes one tile of these after another. Keys and values are kept as float32, half
//     floats or blocks, see [ISA.QuantizeRow]; keys in blocks are multiplied as weights are.
//   - RMSNorm, SwiGLU, Rotate, Widen, Narrow, Add and others of the Level's methods work on single
//     rows.
//
// # One order of additions
//
// The engine promises equal bits for any number of threads, any chunking of a prompt and any
// make-up of a batch. So an output depends on its weight row and its token alone, and each level
// adds in one order, whatever the number of rows or tokens it was handed:
//
//   - Block formats: the integer sum of a group of 16 or 32 products is exact, hence free in its
//     order. Groups are then added from first to last: acc += float32(sum)*(s*d) and, for formats
//     with a minimum, acc += m*(d*Σq), where s and m belong to the weight group (see quant.Unpack),
//     d and q to the activations. Every product is rounded by itself.
//   - Float formats: as many partial sums along k as a vector has lanes, eight in Go, lane l taking
//     k ≡ l, combined by one fixed tree.
//   - Attention: keys in tiles of [Tile] positions counted from position 0; within a tile along the
//     head for scores (in blocks: as block formats), along the keys for values, from first to last;
//     the tiles of a span of [Span] positions from first to last, then the spans.
//   - States ([ISA.UpdateState], [ISA.UpdateSelectiveState]): along the rows of a state, from first
//     to last; columns are lanes.
//
// Between levels results agree within rounding, not in bits.
//
// # Forms of activations
//
// Products with block formats take activations as int8 in groups of 32 with a float32 scale. The
// scale is chosen among eight candidates by the least squared error and then refitted, which leaves
// about a tenth less noise than taking the largest magnitude alone, at no cost to the product.
// Float formats take float32 activations. At level avx512bf16, which has to be asked for, BF16
// takes activations rounded to that, as llama.cpp does, and its products take half the time.
package kernels

//go:generate go run -C _asm ./arm64
