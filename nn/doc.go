// Package nn computes: a [Pass] is the one door from an architecture to the kernels.
//
// In order of use:
//
//   - Parts are made once from a model's weights: [Embedding], [Norm], [Linear], [Rope],
//     [Attention], [MoE], and what stands in the place of attention, a [RecurrentBlock]: [Mamba],
//     [Mamba2], [DeltaNet], [ShortConv]. A part chooses its kernel when it is made and knows its
//     name; an architecture never learns in which format a weight is.
//   - [NewPass] takes the threads and the cache. Its owner fills a [Batch] (tokens, their
//     positions, their sequences, which of them want an output), calls [Pass.Begin], hands the Pass
//     to the model's Forward and Logits, and calls [Pass.End].
//   - The verbs ([Pass.Embed], [Pass.Norm], [Pass.QKV], [Pass.Rope], [Pass.Attend], [Pass.GLU],
//     [Pass.MoE] …) compute at once; there is no graph. Their results live in scratch memory until
//     the next [Pass.Layer].
//
// A forward pass in an architecture's file then reads like its paper:
//
//	x := f.Embed(m.embd)
//	for i, b := range m.blk {
//		f.Layer(i)
//		q, k, v := f.QKV(f.Norm(x, b.attnNorm), b.q, b.k, b.v)
//		…
//	}
//	return f.Outputs(x)
//
// # One batch, many sequences
//
// A batch is rows of one token each: many rows of one sequence (a prompt), one row of each of many
// (generation), or both. Only Attend and Recur look at the sequences; Recur takes a sequence's rows
// one after the other, from the state that the cache has. Every row's result depends on that row
// and its sequence's cache alone and is added up in one order, so it has the same bits in any
// company, cut in any chunks, on any number of threads.
//
// # Faults and interruption
//
// The verbs return no errors, so that an architecture stays legible. A fault, an interruption
// ([Pass.Interrupt]) and a dry run ([DryRun]) abort the Pass: the verbs still return
// tensors of the right shape and compute nothing, and End returns the reason.
//
// # Hooks
//
// A row may carry a [Hook] that sees and may write what passes by its name: the outputs of every
// named weight (attn_norm, attn_q, ffn_gate, output …), embd, attn_heads (the result of attention
// before its output projection, one head after another), attn_probs, ffn_act (the neurons of a
// feed-forward block, after the activation), l_out (the residual stream after a layer),
// router_logits and router_topk. Without a hook nothing is built and nothing is asked.
package nn
