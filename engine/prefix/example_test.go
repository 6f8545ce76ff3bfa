package prefix_test

import (
	"fmt"

	"github.com/goinfer/goinfer/engine/prefix"
	"github.com/goinfer/goinfer/kv"
)

// A request has ended and leaves its sequence; the next begins with what they have in common.
func Example() {
	store, err := kv.New(kv.Config{Layers: []kv.Spec{kv.Full(1, 8)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	cache := prefix.New(store, 10000)
	const key = "adapter=none"

	first := []int32{1, 15, 27, 4}
	seq := store.Open()
	if err := store.Reserve(seq, len(first)); err != nil {
		fmt.Println(err)
		return
	}
	// … the model computes the rows …
	store.Commit(seq, len(first))
	cache.Insert(key, first, seq) // the cache owns it now

	second := []int32{1, 15, 27, 90, 5}
	from, n := cache.Lookup(key, second)
	next := store.Open()
	if n > 0 {
		store.Drop(next)
		next = store.Fork(from, n)
	}
	fmt.Println(store.Len(next), "of", len(second), "tokens are there already")

	_, n = cache.Lookup("adapter=poet", second)
	fmt.Println(n, "with another adapter")
	// Output:
	// 3 of 5 tokens are there already
	// 0 with another adapter
}
