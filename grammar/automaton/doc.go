// Package automaton walks byte automata with a stack against a vocabulary: from a state it finds
// the set of tokens that may come next.
//
// A [State] has an [Edge] for each byte, computed by its [Source] when it is first wanted. An edge
// leads to another state, pushes what is to be resumed later, or pops it with an [Outcome]. States
// hold no stack, so that what is known about one holds wherever it is reached. A [Config] is a
// state and its stack.
//
// A [Vocabulary] keeps the tokens as a trie in depth-first order: a byte that no text may have here
// skips everything below it. [Walker.Mask] splits the tokens of a state in two: those that the
// state decides alone, which are kept with it, and those that reach below it on the stack, which
// are looked at each time. Inside of a string nearly all tokens are of the first kind; where any
// text may stand they are one set for all states, computed once for the vocabulary. (The idea is
// that of XGrammar, Dong et al. 2024, arXiv:2411.15100, and of llguidance's slices.)
package automaton
