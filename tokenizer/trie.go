package tokenizer

import (
	"cmp"
	"slices"
	"strings"
)

// trie maps byte strings to ids and finds those that begin a text. The children of a node are
// stored side by side, ordered by their labels.
type trie struct {
	nodes  []trieNode // nodes[0] is the root
	labels []byte     // the byte that leads to each node
	roots  [256]int32 // the children of the root; 0 means none
}

type trieNode struct {
	first int32 // the first child
	count int32 // how many children
	value int32 // the id of the string that ends here, or -1
}

// newTrie holds the strings of text for which keep holds, with their indices as ids.
func newTrie(text []string, keep func(id int) bool) *trie {
	var order []int32
	for id := range text {
		if keep(id) {
			order = append(order, int32(id))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(strings.Compare(text[a], text[b]), cmp.Compare(a, b)) })
	type job struct {
		node   int32
		lo, hi int32 // the strings below the node, in order
		depth  int32 // how many bytes they share
	}
	t := &trie{nodes: []trieNode{{value: -1}}, labels: []byte{0}}
	for jobs := []job{{0, 0, int32(len(order)), 0}}; len(jobs) > 0; {
		j := jobs[0]
		jobs = jobs[1:]
		lo := j.lo
		for lo < j.hi && len(text[order[lo]]) == int(j.depth) {
			t.nodes[j.node].value = order[lo]
			lo++
		}
		first := int32(len(t.nodes))
		for lo < j.hi {
			c := text[order[lo]][j.depth]
			hi := lo + 1
			for hi < j.hi && text[order[hi]][j.depth] == c {
				hi++
			}
			jobs = append(jobs, job{int32(len(t.nodes)), lo, hi, j.depth + 1})
			t.nodes = append(t.nodes, trieNode{value: -1})
			t.labels = append(t.labels, c)
			lo = hi
		}
		t.nodes[j.node].first, t.nodes[j.node].count = first, int32(len(t.nodes))-first
	}
	for i := range t.nodes[0].count {
		t.roots[t.labels[t.nodes[0].first+i]] = t.nodes[0].first + i
	}
	return t
}

// next returns the child of node by c, or 0.
func (t *trie) next(node int32, c byte) int32 {
	if node == 0 {
		return t.roots[c]
	}
	n := &t.nodes[node]
	lo, hi := n.first, n.first+n.count
	for hi-lo > 8 {
		if mid := (lo + hi) / 2; t.labels[mid] <= c {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.labels[lo] == c {
			return lo
		}
	}
	return 0
}

// longest returns the id and size of the longest string that begins text; the size is 0 if there is
// none.
func (t *trie) longest(text []byte) (id int32, size int) { return longestIn(t, text) }

// longestIn is longest in a string.
func (t *trie) longestIn(text string) (id int32, size int) { return longestIn(t, text) }

func longestIn[T string | []byte](t *trie, text T) (id int32, size int) {
	node := int32(0)
	for i := range len(text) {
		if node = t.next(node, text[i]); node == 0 {
			break
		}
		if v := t.nodes[node].value; v >= 0 {
			id, size = v, i+1
		}
	}
	return id, size
}
