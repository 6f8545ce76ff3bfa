// Package sample chooses the next token: from the logits of a model to an id.
//
// In order of use:
//
//   - [Params] say how. The zero value takes the most probable token; [Defaults] are the numbers
//     that most programs of the field start from.
//   - [New] checks them and makes a [Sampler], which is the memory of one sequence.
//   - [Sampler.Prompt] gives it the tokens of the prompt; [Sampler.Sample] chooses one that
//     follows, [Sampler.Accept] takes it.
//   - A [Grammar] in Params constrains what is generated, by a [Matcher] for each sequence.
//   - [Sampler.Clone] lets a sequence go two ways, [Sampler.Reset] begins another.
//   - [LogProb] and [TopLogProbs] report what the model itself predicted, before any sampler.
//
// A generation:
//
//	p := sample.Defaults()
//	p.Seed = 42
//	s, err := sample.New(p, vocab) // vocab may be nil
//	s.Prompt(prompt...)
//	for pos := len(prompt); ; pos++ {
//		id := s.Sample(logits, pos)
//		s.Accept(id)
//		logits = …
//	}
//
// # The chain
//
// All tokens begin as candidates, except those whose logit is NaN or infinite. The stages of a
// chain change their logits or remove some; of what remains one is drawn, with the probabilities
// that the softmax of its logits gives. The usual order, which [Params].Chain changes:
//
//   - Logit biases, then the caller's own stages ([Stage]), always come first.
//   - penalties: against tokens of the recent past. Repetition divides or multiplies the logit, as
//     in CTRL (Keskar et al. 2019, arXiv:1909.05858); frequency subtracts for each appearance,
//     presence once.
//   - dry ("don't repeat yourself", by p-e-w for text-generation-webui): if the last n tokens have
//     appeared before, what followed them then loses multiplier·base^(n-allowed). Breakers, such as
//     line ends, end what counts as a repetition.
//   - top_n_sigma (Tang et al. 2024, arXiv:2411.07641): keeps logits within n standard deviations
//     of the highest.
//   - top_k (Fan et al. 2018, arXiv:1805.04833): keeps the k highest.
//   - typ_p, locally typical sampling (Meister et al. 2022, arXiv:2202.00666): keeps tokens whose
//     surprise, -log p, is closest to the entropy, until they have more than the probability p
//     together.
//   - top_p, the nucleus (Holtzman et al. 2019, arXiv:1904.09751): keeps the highest until they
//     have the probability p together.
//   - min_p (Nguyen et al. 2024, arXiv:2407.01082): keeps what has at least the share p of the
//     highest probability.
//   - xtc ("exclude top choices", also by p-e-w): at times removes all tokens above a threshold but
//     the least probable of them.
//   - temperature: divides the logits. Dynamic temperature puts the divisor in a range, high where
//     the entropy is high.
//
// Each probability is of the candidates that a stage finds, so the order matters. Before
// temperature means on the model's own distribution.
//
// Mirostat (Basu et al. 2020, arXiv:2007.14966) replaces the chain. It cuts the tail so that the
// surprise of the text stays near a target, and learns from each token where to cut: version 1 by
// way of Zipf's law, version 2 directly.
//
// Stages mean what they mean in llama.cpp (src/llama-sampler.cpp), and are called the same. Drawn
// tokens differ, for the random numbers do. So does this:
//
//   - Equal logits are ordered by id, here and wherever a choice is made between them.
//   - With a temperature of 0 or less the choice is greedy even if the chain leaves out temperature
//     or its range is dynamic.
//   - After the breaker that ended last all counts for DRY, even if another breaker contains it.
//   - Mirostat counts a token when it is accepted, not when it is drawn.
//
// # Random numbers
//
// They are a hash of the seed, the position and the purpose. A token thus depends on the logits,
// what was accepted, the seed and the position, and on nothing else: not on the other sequences of
// a batch, nor on drafts that were sampled and thrown away. Sample may be called any number of
// times between two calls of Accept.
//
// # Cost
//
// No stage sorts the vocabulary. Top-k reads the logits once with a heap of the k best; top-p and
// typical select as quickselect does. Nothing is allocated once the buffers have grown, except
// where all of the past is remembered (RepeatLastN or DRYLastN of -1). DRY takes time linear in the
// tokens that it looks back on; its breakers cost New a pass over the vocabulary.
package sample
