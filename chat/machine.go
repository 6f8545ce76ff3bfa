package chat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/sample"
)

// machine is the constraint of an answer: nodes, of which several may be under way at a time. It is
// a [sample.Grammar].
type machine struct {
	t     *Template
	nodes []node
	start []int

	breaks []int32  // the tokens of line breaks alone
	texts  []string // of all tokens, where marks can end inside of one
}

type nodeKind uint8

const (
	endNode     nodeKind = iota // nothing more
	literalNode                 // ids, one after the other
	gapNode                     // up to maxBreaks tokens of line breaks
	grammarNode                 // what a grammar allows
	freeNode                    // anything, up to a mark
)

type node struct {
	kind    nodeKind
	ids     []int32
	grammar sample.Grammar
	to      []int // what follows

	marks  []string // texts that end a free node
	next   [][]int  // what follows each
	budget int      // tokens of a free node with close
	close  []int    // what follows then
	ends   bool     // generation may end in a free node
}

const (
	maxBreaks  = 2
	maxThreads = 64
	noBudget   = 1 << 30
)

func (m *machine) add(n node) int {
	m.nodes = append(m.nodes, n)
	return len(m.nodes) - 1
}

// prepare lists what masks want to know of the vocabulary.
func (m *machine) prepare() {
	v := m.t.vocab
	inside := false
	for i := range m.nodes {
		for _, mark := range m.nodes[i].marks {
			if id, ok := v.Lookup(mark); !ok || !v.IsControl(id) {
				inside = true
			}
		}
	}
	for id := range int32(v.Size()) {
		s := m.t.spell([]int32{id})
		if s != "" && strings.Trim(s, "\n") == "" {
			m.breaks = append(m.breaks, id)
		}
		if inside {
			m.texts = append(m.texts, s)
		}
	}
}

// NewMatcher implements [sample.Grammar].
func (m *machine) NewMatcher() sample.Matcher {
	r := &running{m: m}
	for _, n := range m.start {
		r.threads = append(r.threads, m.begin(n))
	}
	return r
}

// thread is a node under way.
type thread struct {
	node    int
	at      int    // ids of a literal, tokens of a gap or of a free node
	tail    string // the end of a free node's text
	matcher sample.Matcher
}

func (m *machine) begin(n int) thread {
	th := thread{node: n}
	if m.nodes[n].kind == grammarNode {
		th.matcher = m.nodes[n].grammar.NewMatcher()
	}
	return th
}

// running is the state of an answer.
type running struct {
	m       *machine
	threads []thread
	mask    sample.Bitset
}

// Clone implements [sample.Matcher].
func (r *running) Clone() sample.Matcher {
	c := &running{m: r.m, threads: slices.Clone(r.threads)}
	for i := range c.threads {
		if g := c.threads[i].matcher; g != nil {
			c.threads[i].matcher = g.Clone()
		}
	}
	return c
}

// all are the threads with those that begin where one may end.
func (r *running) all() []thread {
	all := slices.Clone(r.threads)
	seen := map[int]bool{}
	for i := 0; i < len(all) && len(all) < maxThreads; i++ {
		th := &all[i]
		n := &r.m.nodes[th.node]
		var next []int
		switch {
		case n.kind == gapNode, n.kind == grammarNode && th.matcher.Done():
			next = n.to
		case n.kind == freeNode && n.close != nil && th.at >= n.budget:
			next = n.close
		}
		for _, k := range next {
			if !seen[k] {
				seen[k] = true
				all = append(all, r.m.begin(k))
			}
		}
	}
	return all
}

// Done implements [sample.Matcher].
func (r *running) Done() bool {
	return slices.ContainsFunc(r.all(), func(th thread) bool {
		n := &r.m.nodes[th.node]
		return n.kind == endNode || n.kind == freeNode && n.ends && !th.spent(n)
	})
}

// spent reports whether a free node has used its budget.
func (th *thread) spent(n *node) bool { return n.close != nil && th.at >= n.budget }

// Mask implements [sample.Matcher].
func (r *running) Mask(allowed sample.Bitset) {
	allowed.Clear()
	v := r.m.t.vocab
	done := false
	for _, th := range r.all() {
		n := &r.m.nodes[th.node]
		switch n.kind {
		case literalNode:
			allowed.Add(n.ids[th.at])
		case gapNode:
			if th.at < maxBreaks {
				for _, id := range r.m.breaks {
					allowed.Add(id)
				}
			}
		case grammarNode:
			if len(r.mask) != len(allowed) {
				r.mask = make(sample.Bitset, len(allowed))
			}
			th.matcher.Mask(r.mask)
			for i, w := range r.mask {
				allowed[i] |= w
			}
		case freeNode:
			if !th.spent(n) {
				r.maskFree(allowed, &th, n)
			}
			done = done || n.ends && !th.spent(n)
		case endNode:
			done = true
		}
	}
	if last := v.Size(); last < 64*len(allowed) {
		allowed[last/64] &= 1<<(uint(last)%64) - 1
		clear(allowed[last/64+1:])
	}
	for _, id := range r.m.t.ends {
		if done {
			allowed.Add(id)
		} else {
			allowed.Remove(id)
		}
	}
}

// maskFree allows everything but tokens that go on past a mark, after which it matters where the
// next token begins.
func (r *running) maskFree(allowed sample.Bitset, th *thread, n *node) {
	for i := range allowed {
		allowed[i] = ^uint64(0)
	}
	if r.m.texts == nil {
		return
	}
	for i, mark := range n.marks {
		k := held(th.tail, []string{mark})
		if next := n.next[i]; k == 0 || len(next) == 1 && r.m.nodes[next[0]].kind == freeNode {
			continue
		}
		rest := mark[k:]
		for id, s := range r.m.texts {
			if len(s) > len(rest) && strings.HasPrefix(s, rest) && strings.TrimSpace(s[len(rest):]) != "" {
				allowed.Remove(int32(id))
			}
		}
	}
}

// Accept implements [sample.Matcher].
func (r *running) Accept(id int32) error {
	var next []thread
	for _, th := range r.all() {
		next = r.step(next, th, id)
	}
	if len(next) == 0 {
		return fmt.Errorf("token %d is not allowed here", id)
	}
	r.threads = next[:min(len(next), maxThreads)]
	return nil
}

// step appends what a thread becomes by a token.
func (r *running) step(next []thread, th thread, id int32) []thread {
	n := &r.m.nodes[th.node]
	follow := func(to []int) []thread {
		for _, k := range to {
			next = append(next, r.m.begin(k))
		}
		return next
	}
	switch n.kind {
	case literalNode:
		if n.ids[th.at] != id {
			return next
		}
		if th.at++; th.at == len(n.ids) {
			return follow(n.to)
		}
	case gapNode:
		if th.at == maxBreaks || !slices.Contains(r.m.breaks, id) {
			return next
		}
		th.at++
	case grammarNode:
		g := th.matcher.Clone()
		if g.Accept(id) != nil {
			return next
		}
		th.matcher = g
	case freeNode:
		if th.spent(n) {
			return next
		}
		th.at++
		text := th.tail + r.m.t.spell([]int32{id})
		if at, mark := first(text, n.marks); at >= 0 {
			return follow(n.next[slices.Index(n.marks, mark)])
		}
		longest := 0
		for _, m := range n.marks {
			longest = max(longest, len(m))
		}
		th.tail = text[max(0, len(text)-longest):]
	default:
		return next
	}
	return append(next, th)
}
