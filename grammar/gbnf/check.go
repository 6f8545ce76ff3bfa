package gbnf

import (
	"fmt"
	"slices"
)

type nodeKind uint8

const (
	nEnd nodeKind = iota // of the rule
	nChars
	nToken
	nCall
	nAlt
)

// A node is a place in a rule: what comes next there.
type node struct {
	kind nodeKind
	id   int
	expr *expr // of characters and tokens
	rule *rule // of a call
	next *node
	alts []*node
	live bool // the end of the rule can be reached
}

// check makes nodes of the rules, and refuses grammars that cannot be walked.
func (g *Grammar) check() error {
	root := g.byName["root"]
	if root == nil || root.line == 0 {
		return fmt.Errorf("want a rule root, found none")
	}
	for _, r := range g.rules {
		if r.line == 0 {
			return fmt.Errorf("line %d: rule %s is not defined", r.used, r.name)
		}
	}
	for _, r := range g.rules {
		end := g.node(nEnd)
		start, err := g.build(r.body, end)
		if err != nil {
			return fmt.Errorf("line %d: rule %s: %w", r.line, r.name, err)
		}
		r.start = start
	}
	g.solve(func(r *rule) *bool { return &r.nullable }, false)
	g.solve(func(r *rule) *bool { return &r.live }, true)
	if err := g.leftRecursion(); err != nil {
		return err
	}
	if !root.live {
		return fmt.Errorf("line %d: root has no texts: every way through it goes on for ever", root.line)
	}
	for _, r := range g.rules {
		r.markLive()
	}
	return nil
}

func (g *Grammar) node(k nodeKind) *node {
	g.nodes++
	return &node{kind: k, id: g.nodes}
}

// build returns the node of e, with next after it.
func (g *Grammar) build(e *expr, next *node) (*node, error) {
	if g.nodes > maxNodes {
		return nil, fmt.Errorf("the grammar has more than %d parts when its repetitions are written out", maxNodes)
	}
	var err error
	switch e.kind {
	case eSeq:
		for i := len(e.subs) - 1; i >= 0; i-- {
			if next, err = g.build(e.subs[i], next); err != nil {
				return nil, err
			}
		}
		return next, nil
	case eAlt:
		n := g.node(nAlt)
		for _, s := range e.subs {
			a, err := g.build(s, next)
			if err != nil {
				return nil, err
			}
			n.alts = append(n.alts, a)
		}
		return n, nil
	case eRepeat:
		return g.repeat(e, next)
	case eRule:
		n := g.node(nCall)
		n.rule, n.next = e.rule, next
		return n, nil
	}
	n := g.node(nChars)
	if e.kind == eToken {
		n.kind = nToken
	}
	n.expr, n.next = e, next
	return n, nil
}

func (g *Grammar) repeat(e *expr, next *node) (*node, error) {
	out := next
	if e.max < 0 {
		loop := g.node(nAlt)
		body, err := g.build(e.subs[0], loop)
		if err != nil {
			return nil, err
		}
		loop.alts = []*node{body, next}
		out = loop
	}
	for range max(e.max-e.min, 0) {
		opt := g.node(nAlt)
		body, err := g.build(e.subs[0], out)
		if err != nil {
			return nil, err
		}
		opt.alts = []*node{body, next}
		out = opt
	}
	for range e.min {
		var err error
		if out, err = g.build(e.subs[0], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// solve finds the least solution of a property of rules: whether their end can be reached,
// through characters or not.
func (g *Grammar) solve(of func(*rule) *bool, through bool) {
	users := make([][]*rule, len(g.rules))
	for _, r := range g.rules {
		for _, n := range r.nodes() {
			if n.kind == nCall {
				users[n.rule.id] = append(users[n.rule.id], r)
			}
		}
	}
	todo := slices.Clone(g.rules)
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !*of(r) && reaches(r.start, of, through) {
			*of(r) = true
			todo = append(todo, users[r.id]...)
		}
	}
}

// nodes lists the nodes of a rule.
func (r *rule) nodes() []*node {
	var out []*node
	seen := map[*node]bool{}
	todo := []*node{r.start}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, n)
		todo = append(append(todo, n.alts...), n.next)
	}
	return out
}

// markLive finds the nodes of a rule from which its end can be reached.
func (r *rule) markLive() {
	before := map[*node][]*node{}
	var todo []*node
	for _, n := range r.nodes() {
		for _, a := range n.alts {
			before[a] = append(before[a], n)
		}
		switch {
		case n.kind == nEnd:
			n.live = true
			todo = append(todo, n)
		case n.kind == nChars && len(n.expr.set) > 0 || n.kind == nToken || n.kind == nCall && n.rule.live:
			before[n.next] = append(before[n.next], n)
		}
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, b := range before[n] {
			if !b.live {
				b.live = true
				todo = append(todo, b)
			}
		}
	}
}

func reaches(from *node, of func(*rule) *bool, through bool) bool {
	seen := map[*node]bool{}
	todo := []*node{from}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		switch n.kind {
		case nEnd:
			return true
		case nChars:
			if through && len(n.expr.set) > 0 {
				todo = append(todo, n.next)
			}
		case nToken:
			if through {
				todo = append(todo, n.next)
			}
		case nCall:
			if *of(n.rule) {
				todo = append(todo, n.next)
			}
		case nAlt:
			todo = append(todo, n.alts...)
		}
	}
	return false
}

// first lists the rules that can begin a rule.
func (r *rule) first() []*rule {
	var out []*rule
	seen := map[*node]bool{}
	todo := []*node{r.start}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		switch n.kind {
		case nCall:
			out = append(out, n.rule)
			if n.rule.nullable {
				todo = append(todo, n.next)
			}
		case nAlt:
			todo = append(todo, n.alts...)
		}
	}
	return out
}

// leftRecursion finds a rule that can begin with itself.
func (g *Grammar) leftRecursion() error {
	state := make([]int8, len(g.rules)) // 1: open, 2: done
	type step struct {
		r     *rule
		first []*rule
	}
	for _, r := range g.rules {
		if state[r.id] != 0 {
			continue
		}
		state[r.id] = 1
		path := []step{{r, r.first()}}
		for len(path) > 0 {
			top := &path[len(path)-1]
			if len(top.first) == 0 {
				state[top.r.id] = 2
				path = path[:len(path)-1]
				continue
			}
			n := top.first[0]
			top.first = top.first[1:]
			switch state[n.id] {
			case 0:
				state[n.id] = 1
				path = append(path, step{n, n.first()})
			case 1:
				return fmt.Errorf("line %d: rule %s begins with itself (left recursion): write it as a repetition", n.line, n.name)
			}
		}
	}
	return nil
}
