// Package claims puts what articles say about the parameters of language models beside what theory predicts and what this machine measures.
//
//	r, err := claims.Run(ctx, claims.Options{Said: claims.Article(), Dense: dense, MoE: moe, Text: text, Threads: 2})
//	err = r.Markdown(w)
//	err = r.Page().Render(w)
//
// In order of use:
//
//   - [Article] is what is said, as figures: the only constants here. Another [Said] can be given, which is then what is held against the machine.
//   - [Run] works through the thirteen claims and returns a [Report] of [Claim]s, each of which has [Finding]s: a statement, what theory gives, what was measured, a
//     [Verdict], and the command that measures it again.
//   - [Report.Markdown] and [Report.Page] write it.
//
// Everything is measured on the engine that runs models: on models of known shapes that are made with random weights, as large as fits, and on two small trained ones. What
// does not fit in memory follows from its shape.
//
// # Verdicts
//
// A figure holds if what was found is within 8 % of what is said, or within the said range; it holds roughly, with the factor, up to a factor of 2; beyond that it does not hold.
// A number of pieces, such as matrices, holds if it is the same. A claim has the verdict of its worst finding.
package claims
