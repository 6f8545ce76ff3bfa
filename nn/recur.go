package nn

import (
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// RecurrentBlock is what a layer has in place of attention: it carries numbers from position to
// position, kv.Recurrent of State of them.
type RecurrentBlock interface {
	// State is how many float32 numbers a sequence carries in the layer.
	State() int
	mix(p *Pass, x *tensor.Tensor) *tensor.Tensor
}

// Recur returns the result of a recurrent block, [n_tokens][n_embd].
func (p *Pass) Recur(x *tensor.Tensor, r RecurrentBlock) *tensor.Tensor { return r.mix(p, x) }

// recurrence is a walk through the positions of a sequence, one after the other. It is cut into
// parts, channels or heads that know nothing of each other, which threads share. Since every part
// takes the same steps in the same order however many of them a pass has, results have the same
// bits in prompts and in generation.
type recurrence interface {
	partitions() int
	// scan takes a part through n rows from row on. old is the state before them, nil at the
	// beginning, where it is 0; state is where that after them goes. Both are of the whole
	// recurrence, and of both the part touches its own numbers alone. scratch is the thread's.
	scan(l *kernels.ISA, scratch *[]float32, part, row, n int, old, state []float32)
}

// recurJob runs a recurrence over the sequences of a batch: a chunk is a part of one of them.
type recurJob struct {
	p     *Pass
	r     recurrence
	at, n int // where its numbers are in the layer's
}

// recurrent runs r, whose state is n of the layer's numbers from at on.
func (p *Pass) recurrent(r recurrence, at, n int) {
	if p.Aborted() {
		return
	}
	p.recur = recurJob{p: p, r: r, at: at, n: n}
	p.pool.Run(&p.recur, len(p.runs)*r.partitions())
}

// Run takes a part through the rows of a sequence, from one length at which the cache wants states
// to the next.
func (j *recurJob) Run(chunk, w int) {
	p, parts := j.p, j.r.partitions()
	u := &p.runs[chunk/parts]
	old := j.own(p.store.State(u.seq, p.layer))
	row, pos := u.row, p.batch.Rows[u.row].Pos
	for i := range p.store.NewStates(u.seq) {
		if p.interrupted.Load() {
			return
		}
		length, state := p.store.NewState(u.seq, p.layer, i)
		state = j.own(state)
		j.r.scan(p.isa, &p.workers[w].recur, chunk%parts, row, length-pos, old, state)
		row += length - pos
		old, pos = state, length
	}
}

func (j *recurJob) own(state []float32) []float32 {
	if state == nil {
		return nil
	}
	return state[j.at : j.at+j.n : j.at+j.n]
}

// scans are what the recurrences reuse from call to call.
type scans struct {
	conv  convScan
	mamba mambaScan
	ssd   ssdScan
	delta deltaScan
}

// initState begins a part's new state with its old one.
func initState(state, old []float32) {
	if old == nil {
		clear(state)
		return
	}
	copy(state, old)
}

// Conv is a causal convolution of every channel with taps of its own over the last positions, the
// newest last (Gu and Dao 2023, arXiv:2312.00752, section 3.4).
type Conv struct {
	Name     string
	DConv    int
	Channels int
	Weight   []float32 // [Taps][Channels]
	Bias     []float32 // [Channels], nil for none
	SiLU     bool      // of the sum
}

// State is the inputs of the last positions, [Taps-1][Channels].
func (c *Conv) State() int { return (c.DConv - 1) * c.Channels }

// conv returns the convolution of x, [n_tokens][Channels]; its state is the layer's numbers from at
// on.
func (p *Pass) conv(x *tensor.Tensor, c *Conv, at int) *tensor.Tensor {
	y := p.arena.New(x.Rows, x.Cols)
	p.scans.conv = convScan{c, x, y}
	p.recurrent(&p.scans.conv, at, c.State())
	p.notify(p.layer, c.Name, y)
	return y
}

type convScan struct {
	c    *Conv
	x, y *tensor.Tensor
}

// convChannels is the number of channels of a part.
const convChannels = 256

func (w *convScan) partitions() int { return (w.c.Channels + convChannels - 1) / convChannels }

func (w *convScan) scan(l *kernels.ISA, scratch *[]float32, part, row, n int, old, state []float32) {
	c := w.c
	c0 := part * convChannels
	width := min(convChannels, c.Channels-c0)
	// input is what a tap of the row number t sees, which may be before the rows.
	input := func(t int) []float32 {
		switch {
		case t >= 0:
			return w.x.Row(row + t)[c0:][:width]
		case old == nil:
			return nil
		}
		return old[(c.DConv-1+t)*c.Channels+c0:][:width]
	}
	for t := range n {
		y := w.y.Row(row + t)[c0:][:width]
		if c.Bias != nil {
			copy(y, c.Bias[c0:])
		} else {
			clear(y)
		}
		for k := range c.DConv {
			if in := input(t + k - c.DConv + 1); in != nil {
				l.AddProduct(y, in, c.Weight[k*c.Channels+c0:][:width])
			}
		}
		if c.SiLU {
			l.SiLU(y)
		}
	}
	// The last inputs, the oldest first: each is read before its place is written.
	for k := range c.DConv - 1 {
		to := state[k*c.Channels+c0:][:width]
		if in := input(n + k - c.DConv + 1); in != nil {
			copy(to, in)
		} else {
			clear(to)
		}
	}
}

// floatsOf is n numbers of a thread's scratch, of undefined contents.
func floatsOf(scratch *[]float32, n int) []float32 {
	*scratch = grow(*scratch, n)
	return *scratch
}
