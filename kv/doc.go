// Package kv is the cache of what a model has computed of many sequences: keys and values of all
// positions or of those in a window, latents, and the states of recurrent layers. All have one
// interface.
//
// The memory of positions is cut into pages of [PageLen], as in PagedAttention (Kwon et al. 2023,
// arXiv:2309.06180). A sequence is a table of pages, which are allocated as it grows and counted by
// reference, so that sequences with a common beginning share its pages.
//
// In order of use:
//
//   - A model declares what each of its layers remembers as a [Spec]: [Full], [Windowed], [Latent],
//     [Recurrent].
//   - [New] makes a [Store] of a [Config]: the specs, the formats of keys and values, a limit.
//   - [Store.Open] starts a sequence, [Store.Fork] starts one with the first positions of another.
//   - [Store.Reserve] makes room, or [Store.ReserveTentative] where perhaps not all is accepted.
//     [Store.Checkpoint] asks for checkpoints. [Store.KRow], [Store.VRow] and [Store.NewState] are
//     where what is new is written; [Store.Commit] makes it count.
//   - [Store.K] and [Store.V] are what attention reads, page by page from position 0 or from where
//     its window begins; [Store.State] is what a recurrent layer goes on from.
//   - [Store.ReusableLen] is the reusable length of a sequence, [Store.Drop] ends one, [Store.Save]
//     and [Store.Load] write one as bytes and read it.
//   - [Store.Need] estimates memory, [Store.Cost] counts what a reservation would take,
//     [Store.Used], [Store.Room], [Store.Pages] and [Store.Bytes] report.
//
// A step of a sequence:
//
//	if err := s.Reserve(q, n); err != nil { // errors.Is(err, kv.ErrFull)
//		return err
//	}
//	for pos := s.Len(q); pos < s.Len(q)+n; pos++ { // for every layer and head
//		copy(s.KRow(q, layer, head, pos), key)
//		copy(s.VRow(q, layer, head, pos), value)
//	}
//	for i := range s.NewStates(q) { // for every layer with a state
//		length, state := s.NewState(q, layer, i)
//		// from s.State(q, layer), nil at the beginning, through the positions up to length
//	}
//	s.Commit(q, n)
//
// # Pages
//
// A page holds a position's row of every layer of a group: for each layer and head the keys,
// [PageLen][KDim], then the values, [PageLen][VDim]. What attention reads for one head is thus
// contiguous: the longer such a range is, the faster memory is read. Page boundaries are counted
// from position 0 of the sequence, so they do not depend on how the sequence came about. The layers
// that see everything are one group, and those of each window another, whose pages are given up as
// soon as no later query sees them: after Commit a window of W positions takes the pages that W
// positions reach into.
//
// Committed positions never change. Fork and Save rely on it, and Reserve keeps it: it copies a
// partly filled last page that others share before it lets anyone write there. States are never
// changed either: the next one is written beside the last, and a pass that is given up leaves no
// trace.
//
// # Checkpoints
//
// A store whose layers all remember every position can fork a sequence at any length. A state keeps
// nothing of what it was before, and a window has given up what it has passed. Such a sequence can
// be forked at its end, at its checkpoints, which [Store.Checkpoint] asks for on the way and of
// which a few are kept, and in a window also at what its pages still hold. A checkpoint has a copy
// of the states, and shares the pages of windows. [Store.ReusableLen] is the one place that knows;
// Fork goes as far. What is between is computed again, which gives the same bits, since recurrent
// layers step through positions in one order.
//
// # Tentative positions
//
// Speculative decoding computes rows of which it may reject the last ones. [Store.ReserveTentative]
// reserves them so that every length that may be accepted has states of its own, and Commit takes
// those of the accepted one. Windows give up pages at Commit only, by the accepted length. What is
// rejected leaves no trace: the sequence is then as one that never proposed. Tentative lengths are
// no checkpoints and cost none; Checkpoint works among them as anywhere.
//
// # Concurrency
//
// One goroutine owns the store and is the only one to call methods. Between a Reserve and the
// following call that changes the store, any number of goroutines may call K, V, KRow, VRow, State,
// NewStates, NewState, Len and the other methods that only report, and write different rows and
// numbers.
//
// # Misuse
//
// A sequence that is not open, a layer, head, page or position that is not there, and counts out of
// range are bugs of the caller and panic with a message that names them.
package kv
