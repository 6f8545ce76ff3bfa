// Package kernels holds the inner loops of the engine: products of weight blocks with activations,
// attention over a tile of keys, and the elementwise functions. It works on bytes and float slices,
// knows no tensors and starts no threads; callers split the work by output rows.
//
// In order of use:
//
//   - [Use] returns the [ISA] in use (see internal/cpu: "go", "avx512vnni" …): the table of the
//     functions below for one instruction set. [Reference] returns the engine's own reference,
//     which is plain Go and keeps activations in float32.
//   - [ISA.MatMul] finds the [MatMul] of a weight type. It is called when a weight is bound, never
//     per row.
//   - [Activations] are the activations of some tokens. [ISA.Quantize] quantizes them once, as
//     MatMul.ActFormat asks, for every product that reads them.
//   - [MatMul.Mul] multiplies some rows of a weight with some tokens.
//   - [Attention] is the running softmax of the query heads that share keys and values.
//     [ISA.UpdateSoftmax] adds one tile of keys and values to it. The cache keeps these as float32,
//     half floats or blocks, see [ISA.QuantizeRow]. Keys in blocks are multiplied as weights are.
//   - RMSNorm, SwiGLU, RotateInterleaved, DequantizeRow, QuantizeRow, Add and other methods of ISA
//     work on single rows.
//
// # One order of additions
//
// The engine promises equal bits for any number of threads, any chunking of a prompt and any batch.
// So an output depends on its weight row and its token alone, and each instruction set adds in one
// order, whatever the number of rows or tokens of a call:
//
//   - Block formats: the integer sum of a group of 16 or 32 products is exact, so its order is
//     free. Groups are then added from first to last: acc += float32(sum)*(s*d) and, for formats
//     with a minimum, acc += m*(d*Σq). Here s and m belong to the group of weights (see
//     quant.Unpack), d and q to the activations. Every product is rounded by itself.
//   - Float formats: there are as many partial sums along k as a vector has lanes, eight in Go.
//     Lane l takes k ≡ l, and one fixed tree adds the lanes.
//   - Attention: keys form tiles of [Tile] positions, counted from position 0. Within a tile,
//     scores add along the head (keys in blocks: as block formats) and values along the keys. Then
//     the tiles of a partition of [PartitionLen] positions are added from first to last, then the
//     partitions.
//   - States ([ISA.UpdateState], [ISA.UpdateSelectiveState]): along the rows of a state, from first
//     to last. Columns are lanes.
//
// Results of two instruction sets agree within rounding, not in bits.
//
// # Formats of activations
//
// Products with block formats take activations as int8 in groups of 32 with a float32 scale. The
// scale is the best of eight candidates by the squared error, and is then refitted. This leaves
// about a tenth less noise than a scale taken from the largest magnitude, at no cost to the
// product. Float formats take float32 activations. With avx512bf16, which the user has to ask for,
// BF16 weights take activations rounded to BF16, as llama.cpp does, in half the time.
package kernels

//go:generate go run -C _asm ./arm64
