package prefix

import (
	"container/heap"
	"container/list"
)

// node is a place in the tree of a key: the end of an entry, a length at which one can be forked,
// or where paths part. Its edge, the tokens from the parent's depth to its own, is that part of
// any entry below, so that no node keeps tokens of its own and to split or join edges costs
// nothing.
type node struct {
	parent   *node // nil for the root, and for a node that is out of the tree
	depth    int   // tokens from the root
	children map[int32]*node
	order    order     // the children, the one whose best can be forked earliest first
	slot     int       // place in the parent's order
	entry    *entry    // the one that ends here; nil for none
	points   list.List // entries that go on and can be forked here, but not at the lengths around
	// that with the least from of those that end here or below; nil at most in the root
	best *entry
}

// point is an entry's place in a node's list of points.
type point struct {
	node    *node
	element *list.Element
}

// find is the entry of which the most first tokens of the given ones can be reused, and how many.
func (n *node) find(tokens []int32) (found *entry, length int) {
	for {
		if e := n.reusable(); e != nil {
			found, length = e, n.depth
		}
		c, depth := n.child(tokens)
		if c == nil {
			return found, length
		}
		if depth < c.depth { // no entry has a point within an edge
			if c.best.from <= depth {
				return c.best, depth
			}
			return found, length
		}
		n = c
	}
}

// reusable is an entry that can be forked at the node's depth; nil for none.
func (n *node) reusable() *entry {
	if n.best != nil && n.best.from <= n.depth {
		return n.best
	}
	if front := n.points.Front(); front != nil {
		return front.Value.(*entry)
	}
	return nil
}

// child is the child in whose edge tokens go on after the node, and the depth up to which they
// agree; nil if there is none.
func (n *node) child(tokens []int32) (c *node, depth int) {
	if len(tokens) == n.depth {
		return nil, 0
	}
	if c = n.children[tokens[n.depth]]; c == nil {
		return nil, 0
	}
	return c, n.depth + Common(tokens[n.depth:], c.best.tokens[n.depth:c.depth])
}

// Common is the length of the common prefix.
func Common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// ends lists the entries that are prefixes of tokens.
func (n *node) ends(tokens []int32) []*entry {
	var found []*entry
	for {
		c, depth := n.child(tokens)
		if c == nil || depth < c.depth {
			return found
		}
		if n = c; n.entry != nil {
			found = append(found, n.entry)
		}
	}
}

// at is the node at a depth of an entry's path, which it makes if there is none.
func (n *node) at(e *entry, depth int) *node {
	for n.depth < depth {
		c, to := n.child(e.tokens[:depth])
		switch {
		case c == nil:
			c = &node{parent: n, depth: depth, best: e}
			n.link(c)
		case to < c.depth:
			c = c.split(to)
		}
		n = c
	}
	return n
}

// link adds a child.
func (n *node) link(c *node) {
	if n.children == nil {
		n.children = map[int32]*node{}
	}
	n.children[c.best.tokens[n.depth]] = c
	heap.Push(&n.order, c)
}

// split puts a node into the edge of c, and returns it.
func (c *node) split(depth int) *node {
	n := &node{depth: depth, best: c.best}
	c.replace(n)
	c.parent = n
	n.link(c)
	return n
}

// replace puts n, which has the same best, where c is in the tree.
func (c *node) replace(n *node) {
	p := c.parent
	n.parent, n.slot = p, c.slot
	p.children[c.best.tokens[p.depth]] = n
	p.order[c.slot] = n
	c.parent = nil
}

// update works out the best of the node and of all above it.
func (n *node) update() {
	for ; n != nil; n = n.parent {
		n.best = n.entry
		if len(n.order) > 0 && (n.best == nil || n.order[0].best.from < n.best.from) {
			n.best = n.order[0].best
		}
		if n.parent != nil {
			heap.Fix(&n.parent.order, n.slot)
		}
	}
}

// unlink takes e, which ends here, out of the tree, with the nodes that have nothing else below
// them. It returns the lowest node that is left.
func (n *node) unlink(e *entry) *node {
	n.entry = nil
	for n.parent != nil && n.entry == nil && len(n.order) == 0 {
		p := n.parent
		delete(p.children, e.tokens[p.depth])
		heap.Remove(&p.order, n.slot)
		n.parent = nil
		n = p
	}
	n.update()
	return n
}

// collapse takes the node out of the tree if it has become no more than a part of an edge.
func (n *node) collapse() {
	if n.parent != nil && n.entry == nil && n.points.Len() == 0 && len(n.order) == 1 {
		n.replace(n.order[0])
	}
}

// order is a heap of nodes by where their best can be forked.
type order []*node

func (o order) Len() int           { return len(o) }
func (o order) Less(i, j int) bool { return o[i].best.from < o[j].best.from }

func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].slot, o[j].slot = i, j
}

func (o *order) Push(x any) {
	n := x.(*node)
	n.slot = len(*o)
	*o = append(*o, n)
}

func (o *order) Pop() any {
	last := len(*o) - 1
	n := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return n
}
