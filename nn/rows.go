package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// Norm returns the norm of every row; without a norm, x itself.
func (p *Pass) Norm(x *tensor.Tensor, n *Norm) *tensor.Tensor {
	if n == nil {
		return x
	}
	y := p.arena.New(x.Rows, x.Cols)
	p.norm(y, x, n)
	return y
}

// NormHeads norms, in place, every part of x that is as long as n: the heads of queries and keys
// (Henry et al. 2020, arXiv:2010.04245), or whole rows.
func (p *Pass) NormHeads(x *tensor.Tensor, n *Norm) {
	if x.Cols%n.n != 0 {
		panic(fmt.Sprintf("nn: %s norms heads of %d, not rows of %d", n.name, n.n, x.Cols))
	}
	p.norm(x, x, n)
}

func (p *Pass) norm(dst, x *tensor.Tensor, n *Norm) {
	p.ops.norm = normRows{x, n}
	p.eachRow(dst, &p.ops.norm)
	p.notify(p.layer, n.name, dst)
}

// Scale multiplies x by c.
func (p *Pass) Scale(x *tensor.Tensor, c float32) {
	if c != 1 {
		p.ops.scale = scaleRows{c}
		p.eachRow(x, &p.ops.scale)
	}
}

// Clamp bounds the elements of x by -c and c.
func (p *Pass) Clamp(x *tensor.Tensor, c float32) {
	p.ops.clamp = clampRows{c}
	p.eachRow(x, &p.ops.clamp)
}

// SoftCap makes every element c·tanh(x/c) (Gemma 2, arXiv:2408.00118).
func (p *Pass) SoftCap(x *tensor.Tensor, c float32) {
	p.ops.softCap = softCapRows{c}
	p.eachRow(x, &p.ops.softCap)
}

// Gate multiplies every element of x by the sigmoid of the same element of g, or, where a row of g
// has one element, the whole row by the sigmoid of that.
func (p *Pass) Gate(x, g *tensor.Tensor) {
	p.ops.gate = gateRows{g}
	p.eachRow(x, &p.ops.gate)
}

// Add adds y to x.
func (p *Pass) Add(x, y *tensor.Tensor) {
	p.ops.add = addRows{y}
	p.eachRow(x, &p.ops.add)
}

// Mul multiplies x by y, element by element.
func (p *Pass) Mul(x, y *tensor.Tensor) {
	p.ops.mul = mulRows{y}
	p.eachRow(x, &p.ops.mul)
}

// activate sets x = act(x)·up, or act(x) where up is nil. It may use up the contents of up.
func (p *Pass) activate(x, up *tensor.Tensor, act Activation) {
	p.ops.activate = activateRows{act, up}
	p.eachRow(x, &p.ops.activate)
}

// rowOp is an operation on every row of a tensor by itself.
type rowOp interface {
	// apply computes row i of the tensor, dst, on the given thread of the pool.
	apply(p *Pass, dst []float32, i, worker int)
}

// rowOps are the operations that the verbs of a pass reuse from call to call: a pointer to one of
// them becomes a rowOp without an allocation.
type rowOps struct {
	norm     normRows
	add      addRows
	mul      mulRows
	activate activateRows
	xielu    xieluRows
	rope     ropeRows
	scale    scaleRows
	clamp    clampRows
	softCap  softCapRows
	gate     gateRows
}

// rowJob applies an operation to the rows of a tensor, some rows per chunk.
type rowJob struct {
	p    *Pass
	op   rowOp
	dst  *tensor.Tensor
	rows int // rows of a chunk
}

// rowWork is the number of elements from which an operation is worth another thread.
const rowWork = 1 << 13

// eachRow applies an operation to every row of dst.
func (p *Pass) eachRow(dst *tensor.Tensor, op rowOp) {
	if p.Aborted() {
		return
	}
	r := &p.rows
	*r = rowJob{p: p, op: op, dst: dst, rows: max(1, rowWork/max(dst.Cols, 1))}
	chunks := (dst.Rows + r.rows - 1) / r.rows
	if chunks == 1 {
		r.Run(0, 0)
		return
	}
	p.pool.Run(r, chunks)
}

// Run does the rows of a chunk.
func (r *rowJob) Run(chunk, worker int) {
	if r.p.interrupted.Load() {
		return
	}
	for i := chunk * r.rows; i < min((chunk+1)*r.rows, r.dst.Rows); i++ {
		r.op.apply(r.p, r.dst.Row(i), i, worker)
	}
}

// normRows sets dst to the norm of x, which may be dst.
type normRows struct {
	x    *tensor.Tensor
	norm *Norm
}

func (o *normRows) apply(p *Pass, dst []float32, i, _ int) { o.norm.row(p.isa, dst, o.x.Row(i)) }

// addRows adds x.
type addRows struct{ x *tensor.Tensor }

func (o *addRows) apply(p *Pass, dst []float32, i, _ int) { p.isa.Add(dst, o.x.Row(i)) }

// mulRows multiplies by x, element by element.
type mulRows struct{ x *tensor.Tensor }

func (o *mulRows) apply(_ *Pass, dst []float32, i, _ int) {
	x := o.x.Row(i)
	for j := range dst {
		dst[j] *= x[j]
	}
}

// activateRows sets dst = act(dst)·up, or act(dst) where up is nil.
type activateRows struct {
	act Activation
	up  *tensor.Tensor
}

func (o *activateRows) apply(p *Pass, dst []float32, i, worker int) {
	var up []float32
	if o.up != nil {
		up = o.up.Row(i)
	} else {
		// Activations use up their second factor: the ones are written again for every row.
		w := &p.workers[worker]
		w.ones = grow(w.ones, len(dst))
		up = w.ones
		fill(up, 1)
	}
	o.act.row(p.isa, dst, dst, up)
}

// xieluRows applies an xIELU.
type xieluRows struct{ act *XIELU }

func (o *xieluRows) apply(_ *Pass, dst []float32, _, _ int) { o.act.row(dst) }

// ropeRows rotates each head of a row by the angles of its position.
type ropeRows struct{ angles *angles }

func (o *ropeRows) apply(p *Pass, dst []float32, i, _ int) {
	r := o.angles.rope
	cos, sin := o.angles.row(i)
	for h := r.offset; h < len(dst); h += r.headDim {
		if r.layout == RopeNeoX {
			p.isa.RotateNeoX(dst[h:], cos, sin)
		} else {
			p.isa.RotateInterleaved(dst[h:], cos, sin)
		}
	}
}

// scaleRows multiplies by c.
type scaleRows struct{ c float32 }

func (o *scaleRows) apply(p *Pass, dst []float32, _, _ int) { p.isa.Scale(dst, o.c) }

// clampRows bounds elements by -c and c.
type clampRows struct{ c float32 }

func (o *clampRows) apply(_ *Pass, dst []float32, _, _ int) {
	for j, v := range dst {
		dst[j] = max(-o.c, min(v, o.c))
	}
}

// softCapRows sets dst = c·tanh(dst/c).
type softCapRows struct{ c float32 }

func (o *softCapRows) apply(p *Pass, dst []float32, _, _ int) { p.isa.SoftCap(dst, o.c) }

// gateRows multiplies by the sigmoid of g.
type gateRows struct{ g *tensor.Tensor }

func (o *gateRows) apply(p *Pass, dst []float32, i, _ int) {
	g := o.g.Row(i)
	if len(g) == 1 {
		p.isa.Scale(dst, kernels.Sigmoid(g[0]))
		return
	}
	p.isa.Gate(dst, g)
}
