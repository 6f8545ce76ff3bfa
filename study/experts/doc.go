// Package experts watches the routers of mixture-of-experts models at work, and asks what would have been had they chosen otherwise.
//
// In order of use:
//
//   - [ShapeOf] tells where a model has experts, how many, and what bytes they are. It refuses a model without.
//   - [Record] evaluates a text and returns a [Trace]: for each token and layer a [Row] with the chosen experts, their weights, and the entropy of the router.
//   - [Measure] goes over a text of any length and returns [Stats]: load, balance, idle experts, which are chosen together, and which kinds of tokens they are chosen for.
//   - [Routing] is a what-if: another number of experts, some kept out or in, equal weights, a choice by lot. Its Hook goes into any request.
//   - [Compare] generates with and without one and tells how far the predictions are apart; [Cost] measures speed, bytes and divergence by the number of experts.
//   - [Trace.Page] and [Stats.Page] draw both as documents of package page.
//
// Entropies are in nats, of the probabilities that a router gives to all experts: the softmax of its logits, or where it scores each expert by a sigmoid those scores divided by
// their sum. Routers: Shazeer et al. 2017, arXiv:1701.06538; balance and specialisation: Fedus et al. 2021, arXiv:2101.03961; Jiang et al. 2024, arXiv:2401.04088.
package experts
