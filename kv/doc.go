// Package kv remembers what a model has read: the keys and values of every layer, for many sequences at once.
//
// The memory is cut into pages of [PageLen] positions, as in PagedAttention (Kwon et al. 2023, arXiv:2309.06180). A sequence is a table
// of pages, which are allocated as it grows and counted by reference, so that sequences with a common beginning share its pages.
//
// In order of use:
//
//   - A model declares what each of its layers remembers of a position as a [Spec]: [Full], [Latent], [Repeat].
//   - [New] makes a [Store] of a [Config]: the specs, the formats of keys and values, a limit.
//   - [Store.Open] starts a sequence, [Store.Fork] starts one with the first positions of another.
//   - [Store.Reserve] makes room, [Store.KRow] and [Store.VRow] are where the new rows are written, [Store.Commit] makes them count.
//   - [Store.K] and [Store.V] are what attention reads, page by page from position 0.
//   - [Store.Truncate] goes back, [Store.Drop] ends a sequence, [Store.Save] and [Store.Load] carry one through bytes.
//
// A step of a sequence:
//
//	if err := s.Reserve(q, n); err != nil { // errors.Is(err, kv.ErrFull)
//		return err
//	}
//	for pos := s.Len(q); …                  // for every layer and head
//		copy(s.KRow(q, layer, head, pos), key)
//		copy(s.VRow(q, layer, head, pos), value)
//	s.Commit(q, n)
//
// # Pages
//
// A page holds a position's row of every layer: for each layer the keys, [head][PageLen][KDim], then the values, [head][PageLen][VDim].
// What attention reads for one head is thus one stretch of memory. Page boundaries are counted from position 0 of the sequence,
// so they do not depend on how the sequence came about.
//
// Committed positions never change. Fork and Save rely on it, and Reserve keeps it: it copies a partly filled last page that others share
// before it lets anyone write there.
//
// # Concurrency
//
// One goroutine owns the store and is the only one to call methods. Between a Reserve and the following call that changes the store, any
// number of goroutines may call K, V, KRow, VRow, Len and the other methods that only tell, and write different rows.
//
// # Misuse
//
// A sequence that is not open, a layer, head, page or position that is not there, and counts out of range are bugs of the caller and
// panic with a message that names them.
package kv
