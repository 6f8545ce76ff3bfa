// Package kv remembers what a model has read, for many sequences at once: keys and values of positions, those of a window, latents, and the states that recurrent layers carry.
// All have one interface.
//
// The memory of positions is cut into pages of [PageLen], as in PagedAttention (Kwon et al. 2023, arXiv:2309.06180). A sequence is a table
// of pages, which are allocated as it grows and counted by reference, so that sequences with a common beginning share its pages.
//
// In order of use:
//
//   - A model declares what each of its layers remembers as a [Spec]: [Full], [Windowed], [Latent], [Recurrent].
//   - [New] makes a [Store] of a [Config]: the specs, the formats of keys and values, a limit.
//   - [Store.Open] starts a sequence, [Store.Fork] starts one with the first positions of another.
//   - [Store.Reserve] makes room, [Store.Mark] names lengths to go back to, [Store.KRow], [Store.VRow] and [Store.NewState] are where what is new is written, [Store.Commit]
//     makes it count.
//   - [Store.K] and [Store.V] are what attention reads, page by page from position 0 or from where its window begins; [Store.State] is what a recurrent layer goes on from.
//   - [Store.Reach] tells how far a sequence can be used again, [Store.Truncate] goes back, [Store.Drop] ends a sequence, [Store.Save] and [Store.Load] carry one through bytes.
//   - [Store.Need] foretells memory, [Store.Bytes] reports it.
//
// A step of a sequence:
//
//	if err := s.Reserve(q, n); err != nil { // errors.Is(err, kv.ErrFull)
//		return err
//	}
//	for pos := s.Len(q); …                  // for every layer and head
//		copy(s.KRow(q, layer, head, pos), key)
//		copy(s.VRow(q, layer, head, pos), value)
//	for i := range s.Ends(q) {              // for every layer with a state; one end, unless there are marks
//		length, to := s.NewState(q, layer, i)
//		…                               // from s.State(q, layer), nil at the beginning, through the positions up to length
//	}
//	s.Commit(q, n)
//
// # Pages
//
// A page holds a position's row of every layer of a group: for each layer and head the keys, [PageLen][KDim], then the values, [PageLen][VDim].
// What attention reads for one head is thus one stretch of memory: the longer stretches are, the faster memory is read. Page boundaries are counted from position 0 of the sequence,
// so they do not depend on how the sequence came about. The layers that see everything are one group, and those of each window another, whose pages are given up as soon as
// no later query sees them: after Commit a window of W positions takes the pages that W positions reach into.
//
// Committed positions never change. Fork and Save rely on it, and Reserve keeps it: it copies a partly filled last page that others share
// before it lets anyone write there. States are never changed either: the next one is written beside the last, and a pass that is given up leaves no trace.
//
// # Going back
//
// A store whose layers all remember every position goes back to any length. A state does not tell what it was, and a window has let go of what it has passed. Such a sequence
// can go back to the lengths that were marked on the way (and a window also to what its pages still hold), of which it keeps a few: a mark takes a copy of the states, and shares the pages of
// windows. [Store.Reach] is the one place that knows; Fork and Truncate go as far, and [Store.Len] tells where that was. What lies between is computed again, which gives the same bits, since
// recurrent layers step through positions in one order.
//
// # Concurrency
//
// One goroutine owns the store and is the only one to call methods. Between a Reserve and the following call that changes the store, any
// number of goroutines may call K, V, KRow, VRow, State, NewState, Len and the other methods that only tell, and write different rows and numbers.
//
// # Misuse
//
// A sequence that is not open, a layer, head, page or position that is not there, and counts out of range are bugs of the caller and
// panic with a message that names them.
package kv
