// Package claims holds what articles report about the parameters of language models against what follows from published
// shapes and what this machine measures.
//
//	r, err := claims.Run(ctx, claims.Options{Dense: dense, MoE: moe, Text: text, Threads: 2})
//	err = r.Markdown(w, false)
//	p, err := r.Page()
//	err = p.Render(w)
//
// In order of use:
//
//   - [Statements] are the checkable statements of one article, in our words: each with its kind (measured, computed, or
//     not measurable here), the claim that shows it, and what the article has wrong or too simple.
//   - [Reading] returns the [Row]s: for each thing that can be found, the limit that is reported, or our own threshold and
//     its reason. [ReadReported] reads somebody else's from a file.
//   - [Run] works through the claims and returns a [Report] of [Claim]s, each of which has [Finding]s: what is reported,
//     what was found, its error, a [Verdict], how it came about, and the command that prints it again.
//   - [Report.Markdown] and [Report.Page] write it.
//
// Everything is measured on the engine that runs models: on models of known shapes with random weights, as large as fits,
// and on two small trained ones. What does not fit in memory is computed from its shape, and called so.
//
// # Verdicts
//
// See [Limit.Judge]. A single figure holds within 8 % and roughly within a factor of 2, which is shown. A threshold is
// strict: missed by less than the error of the measurement it holds roughly, otherwise not. The R² of a straight line holds
// from 0.98 and roughly from 0.95. A count is the same or refuted. Speeds are judged on an idle machine alone, see
// probe.Load. A claim has the verdict of its worst row.
package claims
