package automaton

// A Walker finds masks. It is for one goroutine at a time, and so are the states that it looks at.
type Walker struct {
	v      *Vocabulary
	out    Bits
	top    []*State
	stack  []*Frame
	frames []Frame // scratch
	used   int
	exits  *[]exit // where pops below bottom are noted
	cached []*State
	bytes  int // of what is kept
}

// base is what a state decides about tokens by itself.
type base struct {
	ids   []int32 // the tokens, if they are few
	bits  Bits    // else
	exits []exit
	trie  *trie // of the nodes of exits
	owner *Walker
}

// An exit is a node of the trie at which the state is left for what waits on the stack.
type exit struct {
	node int32
	edge Edge // Pop or Reread
}

// bottom is the frame below the state whose base is computed.
var bottom Frame

// NewWalker returns a walker over the tokens of v.
func NewWalker(v *Vocabulary) *Walker { return &Walker{v: v} }

// keepBytes bounds the memory for the bases of states.
const keepBytes = 64 << 20

// Mask adds to out the tokens that may follow in c.
func (w *Walker) Mask(c Config, out Bits) {
	w.out, w.used = out, 0
	if c.Top.Plain {
		w.plain(c)
	} else {
		b := c.Top.base
		if b == nil || b.owner != w {
			b = w.base(c.Top)
		}
		or(out, b.bits)
		for _, id := range b.ids {
			out.set(id)
		}
		w.out, w.used = out, 0
		for _, e := range b.exits {
			w.exit(c, b.trie, e)
		}
	}
	for _, e := range c.Top.Tokens {
		w.tokens(e, out)
	}
}

// plain adds the tokens of a state inside of a string that is plain.
func (w *Walker) plain(c Config) {
	st := c.Top
	w.v.upTo(st.Limit, w.out)
	// Any character leads to a state whose closing quotation mark does the same where it may stand;
	// the end is asked of a state that has it.
	end := c
	for range st.Least {
		var ok bool
		if end, ok = w.step(end, 'x'); !ok {
			return
		}
	}
	next, ok := w.step(end, '"')
	if !ok {
		return
	}
	if st.Least == 0 && (st.Limit < 0 || st.Limit >= len(w.v.afterN)-1) {
		w.siblings(&w.v.after, next)
		return
	}
	for n := st.Least; n < len(w.v.afterN) && (st.Limit < 0 || n <= st.Limit); n++ {
		w.siblings(&w.v.afterN[n], next)
	}
}

// siblings walks a whole trie.
func (w *Walker) siblings(t *trie, c Config) {
	for _, id := range t.root {
		w.out.set(id)
	}
	w.run(t, 0, int32(len(t.nodes)), c)
}

// tokens adds whole tokens.
func (w *Walker) tokens(e Tokens, out Bits) {
	if !e.Others {
		for _, id := range e.IDs {
			if int(id) < len(w.v.text) {
				out.set(id)
			}
		}
		return
	}
	had := make([]bool, len(e.IDs))
	for i, id := range e.IDs {
		had[i] = out.has(id)
	}
	for id := range int32(len(w.v.text)) {
		if w.v.text[id] != nil {
			out.set(id)
		}
	}
	for _, id := range w.v.control {
		out.set(id)
	}
	for i, id := range e.IDs {
		if !had[i] {
			out[id/64] &^= 1 << (uint(id) % 64)
		}
	}
}

func (b Bits) has(id int32) bool { return b[id/64]>>(uint(id)%64)&1 != 0 }

func or(dst, src Bits) {
	for i, x := range src {
		dst[i] |= x
	}
}

// exit goes on below the state from a node of the trie.
func (w *Walker) exit(c Config, t *trie, e exit) {
	n := &t.nodes[e.node]
	next := Config{c.Stack.Then.Resume(e.edge.Out), c.Stack.Up}
	if e.edge.Kind == Reread {
		w.run(t, e.node, n.skip, next)
		return
	}
	w.run(t, e.node+1, n.skip, next)
}

func (w *Walker) step(c Config, b byte) (Config, bool) {
	for {
		e := c.Top.edge(b)
		switch e.Kind {
		case Go:
			return Config{e.To, c.Stack}, true
		case Push:
			return Config{e.To, w.frame(e.Then, c.Stack)}, true
		case Pop:
			return Config{c.Stack.Then.Resume(e.Out), c.Stack.Up}, true
		case Reread:
			c = Config{c.Stack.Then.Resume(e.Out), c.Stack.Up}
		default:
			return c, false
		}
	}
}

// base computes what st decides alone.
func (w *Walker) base(st *State) *base {
	b := &base{owner: w}
	bits := w.v.NewBits()
	w.out = bits
	w.exits = &b.exits
	t := &w.v.all
	if st.Free {
		// Tokens that stay inside need no walk.
		t = &w.v.special
		w.v.upTo(st.Limit, bits)
	}
	b.trie = t
	w.run(t, 0, int32(len(t.nodes)), Config{st, &bottom})
	w.exits = nil
	if n := bits.count(); n <= 512 {
		b.ids = make([]int32, 0, n)
		for i, x := range bits {
			for ; x != 0; x &= x - 1 {
				b.ids = append(b.ids, int32(64*i+trailing(x)))
			}
		}
	} else {
		b.bits = bits
	}
	w.keep(st, b)
	return b
}

func (w *Walker) keep(st *State, b *base) {
	size := 64 + 8*len(b.bits) + 4*len(b.ids) + 56*len(b.exits)
	if w.bytes+size > keepBytes {
		for _, k := range w.cached {
			if k.base != nil && k.base.owner == w {
				k.base = nil
			}
		}
		w.cached, w.bytes = nil, 0
	}
	w.bytes += size
	w.cached = append(w.cached, st)
	st.base = b
}

func (w *Walker) frame(then Resumer, up *Frame) *Frame {
	if w.used == len(w.frames) {
		w.frames = make([]Frame, max(256, 2*len(w.frames)))
		w.used = 0
	}
	f := &w.frames[w.used]
	w.used++
	*f = Frame{then, up}
	return f
}

// run walks the nodes from lo to hi, which are siblings and what is below them, from c.
func (w *Walker) run(t *trie, lo, hi int32, c Config) {
	if lo >= hi {
		return
	}
	first := int(t.nodes[lo].depth)
	if cap(w.top) < 64 {
		w.top, w.stack = make([]*State, 64, 128), make([]*Frame, 64, 128)
	}
	w.top[0], w.stack[0] = c.Top, c.Stack
walk:
	for i := lo; i < hi; {
		n := &t.nodes[i]
		d := int(n.depth) - first
		top, stack := w.top[d], w.stack[d]
		for {
			e := &top.edges[top.index[n.b]]
			if top.index[n.b] == 0 {
				e = top.edge(n.b)
			}
			switch e.Kind {
			case Dead:
				i = n.skip
				continue walk
			case Go:
				top = e.To
			case Push:
				top, stack = e.To, w.frame(e.Then, stack)
			default:
				if stack == &bottom {
					if e.Kind == Pop {
						w.mark(t, i)
					}
					if e.Kind == Reread || n.skip > i+1 {
						*w.exits = append(*w.exits, exit{i, *e})
					}
					i = n.skip
					continue walk
				}
				top, stack = stack.Then.Resume(e.Out), stack.Up
				if e.Kind == Reread {
					continue
				}
			}
			break
		}
		if n.token >= 0 {
			w.mark(t, i)
		}
		i++
		if i < hi && int(t.nodes[i].depth)-first == d+1 {
			if d+1 == len(w.top) {
				w.top = append(w.top, nil)
				w.stack = append(w.stack, nil)
			}
			w.top[d+1], w.stack[d+1] = top, stack
		}
	}
}

func (w *Walker) mark(t *trie, i int32) {
	n := &t.nodes[i]
	if n.token < 0 {
		return
	}
	w.out.set(n.token)
	if n.many {
		for _, id := range t.same[i] {
			w.out.set(id)
		}
	}
}
