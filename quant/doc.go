// Package quant knows the formats in which model files hold weights: which bits mean which numbers.
//
// In order of use:
//
//   - [Type] names a format and gives its block size and bytes.
//   - [Unpack] decodes a row into integers with a scale (and sometimes a minimum) per group of 16
//     or 32: what kernels multiply.
//   - [Dequantize] decodes a row into float32, bit for bit as the reference does.
//   - [Quantize] and [QuantizeRow] encode a row, the latter with regard to which columns matter,
//     with the bytes that the reference gives.
//   - [Half], [ToHalf], [WidenHalf], [NarrowHalf] and [BHalf], [ToBHalf] convert 16-bit floats.
//
// A sketch:
//
//	row := make([]float32, n)
//	quant.Dequantize(quant.Q4_K, row, data[i*quant.Q4_K.RowBytes(n):])
//
// # The formats
//
// A row is a whole number of blocks, one after another. In the integer form of a block, weight =
// q·s + m, with s and m per group:
//
//	type        weights  bytes  bits   group  scale of a group
//	            per block       each
//	F32 F16 BF16      1  4 2 2
//	Q4_0             32     18   4.5     32   f16
//	Q4_1             32     20   5.0     32   f16, and an f16 minimum
//	Q5_0             32     22   5.5     32   f16
//	Q5_1             32     24   6.0     32   f16, and an f16 minimum
//	Q8_0             32     34   8.5     32   f16
//	Q2_K            256     84   2.625   16   f16 × 4 bits, minimum f16 × 4 bits
//	Q3_K            256    110   3.4375  16   f16 × 6 bits
//	Q4_K            256    144   4.5     32   f16 × 6 bits, minimum f16 × 6 bits
//	Q5_K            256    176   5.5     32   f16 × 6 bits, minimum f16 × 6 bits
//	Q6_K            256    210   6.5625  16   f16 × 8 bits
//	IQ1_S           256     50   1.5625  32   f16 × 3 bits; 8 weights are a point of a codebook
//	IQ1_M           256     56   1.75    16   f16 × 3 bits; codebook
//	IQ2_XXS         256     66   2.0625  32   f16 × 4 bits; codebook and signs
//	IQ2_XS          256     74   2.3125  16   f16 × 4 bits; codebook and signs
//	IQ2_S           256     82   2.5625  16   f16 × 4 bits; codebook and signs
//	IQ3_XXS         256     98   3.0625  32   f16 × 4 bits; codebook of 4 weights and signs
//	IQ3_S           256    110   3.4375  32   f16 × 4 bits; codebook of 4 weights and signs
//	IQ4_NL           32     18   4.5     32   f16; 16 unequal levels
//	IQ4_XS          256    136   4.25    32   f16 × 6 bits; the same levels
//	TQ1_0           256     54   1.6875  32   f16 per block; ternary
//	TQ2_0           256     66   2.0625  32   f16 per block; ternary
//	MXFP4            32     17   4.25    32   power of two; E2M1
//	NVFP4            64     36   4.5     16   UE4M3; E2M1
//	Q1_0            128     18   1.125   32   f16 per block; signs
//	Q2_0             64     18   2.25    32   f16 per block; -1 to 2
//
// The formats are defined by ggml (ggml-common.h for the layouts, ggml-quants.c for their meaning);
// MXFP4 by the OCP Microscaling Formats specification 1.0, NVFP4 by NVIDIA. The ideas: K-quants are
// by Kawrakow (llama.cpp pull request 1684), the IQ codebooks follow QuIP# (Tseng et al. 2024,
// arXiv:2402.04396), ternary packing BitNet b1.58 (Ma et al. 2024, arXiv:2402.17764).
package quant
