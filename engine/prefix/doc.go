// Package prefix keeps the cached sequences of requests that have ended, so that a request which
// begins with the same tokens can begin with what they have computed.
//
// In order of use:
//
//   - [New] makes a [Cache] over a store of sequences, a [kv.Store].
//   - [Cache.Insert] hands a sequence over, with its tokens and its key.
//   - [Cache.Lookup] finds the sequence that can be reused furthest; the caller forks it there.
//   - [Cache.Evict] drops the least recently used entry when memory is short, [Cache.Clear] all.
//   - [Cache.Stats] counts.
//
// # Keys
//
// Equal tokens do not compute equal numbers if something else differs: an adapter and its scale, a
// control vector, overridden metadata, options of rotary positions. The key is a string of the
// caller's in which all of these are; entries of different keys have nothing to do with each other.
//
// # The tree
//
// The entries of a key are the paths of a radix tree over tokens, as in SGLang's RadixAttention
// (Zheng et al. 2023, arXiv:2312.07104). A lookup walks down as far as the tokens agree: its cost
// is in the tokens asked for, whatever the number of entries. The nodes are where paths part, where
// entries end, and the checkpoints of entries whose layers do not remember every position. There an
// entry that agrees less far may be the better one, since it can be reused further; the walk passes
// all candidates and takes the last.
//
// # Bounds
//
// The positions of all entries together are bounded, and the entries used longest ago go first. An
// entry that another makes redundant is not kept: what is a prefix of another that can be reused
// that far. The memory of the tree is in proportion to the positions.
//
// A Cache belongs to one goroutine, the one that owns the store.
package prefix
