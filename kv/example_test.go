package kv_test

import (
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/kv"
)

// step computes n positions of a sequence in a model of one layer with one head and a state, and
// accepts some of them.
func step(s *kv.Store, q kv.Seq, n, certain, accepted int) error {
	const layer, head = 0, 0
	if err := s.ReserveTentative(q, n, certain); err != nil {
		return err
	}
	for pos := s.Len(q); pos < s.Len(q)+n; pos++ {
		key, value := make([]byte, 8), make([]byte, 8) // rows of the position
		copy(s.KRow(q, layer, head, pos), key)
		copy(s.VRow(q, layer, head, pos), value)
	}
	from, before := s.Len(q), s.State(q, layer)
	for i := range s.NewStates(q) {
		length, state := s.NewState(q, layer, i)
		copy(state, before)                // nil at the beginning, where the state is 0
		state[0] += float32(length - from) // what the positions up to length do
		from, before = length, state
	}
	s.Commit(q, accepted)
	return nil
}

func Example() {
	s, err := kv.New(kv.Config{Layers: []kv.Spec{{NHead: 1, KDim: 4, VDim: 4, State: 1}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	q := s.Open()
	defer s.Drop(q)
	if err := step(s, q, 5, 5, 5); errors.Is(err, kv.ErrFull) { // a prompt
		fmt.Println("no room:", err)
	}
	if err := step(s, q, 4, 1, 2); errors.Is(err, kv.ErrFull) { // a token, and three proposed
		fmt.Println("no room:", err)
	}
	fmt.Println(s.Len(q), "positions, state", s.State(q, 0))
	fmt.Println("reusable:", s.ReusableLen(q, 7), s.ReusableLen(q, 6))
	// Output:
	// 7 positions, state [7]
	// reusable: 7 0
}
