package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/tensor"
)

// A page of the cache is a tile of the attention kernel: both are counted from position 0.
var _ = [1]struct{}{}[kv.PageLen-kernels.Tile]

// AttentionConfig describes attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245),
// causal unless stated otherwise.
type AttentionConfig struct {
	NHead, NHeadKV int     // NHead is a multiple of NHeadKV
	HeadDim        int     // length of a head of queries and keys
	HeadDimV       int     // length of a head of values; 0 means Dim
	Scale          float32 // of the scores; 0 means 1/√Dim
	// ValuesFromKeys takes the first DimV elements of a key for its value, as latent attention
	// does.
	ValuesFromKeys bool

	// Bidirectional lets a row see what comes after it as well, all positions of its sequence being
	// in one batch (Devlin et al. 2018, arXiv:1810.04805).
	Bidirectional bool

	// a row sees the chunk of so many positions that contains it, up to itself (Llama 4); 0 means
	// all
	Chunk int
	// positions that a row sees, its own included (Beltagy et al. 2020, arXiv:2004.05150), or half
	// as many on each side with Both; 0 means all
	Window int
	Cap    float32   // scores become Cap·tanh(score/Cap); 0 means none
	Sinks  []float32 // [NHead], scores of a key without a value that every row sees; nil for none
	// [NHead], what a score loses per position of distance (ALiBi, Press et al. 2021,
	// arXiv:2108.12409); nil for none
	Slopes []float32
	// Relative, [NHead][2·n+1], is what a score gains by the distance from query to key, -n to n;
	// the ends hold for all beyond. nil for none.
	Relative    [][]float32
	Temperature AttnTemperature
}

// Buckets are the distances -128 to 128 by the parameter of each that T5 has learnt: the half of n
// for keys before the query, and as many for those after it, of which half are one for each short
// distance, the others logarithmic (Raffel et al. 2019, arXiv:1910.10683, and their code). The
// result is AttentionConfig.Relative of table, [n][heads].
func Buckets(table []float32, n, heads int) ([][]float32, error) {
	const most = 128
	if n < 4 || n%4 != 0 || heads < 1 || len(table) != n*heads {
		return nil, fmt.Errorf("want four times some buckets of distances for each of %d heads, found %d numbers in %d", heads, len(table), n)
	}
	relative := make([][]float32, heads)
	for h := range relative {
		relative[h] = make([]float32, 2*most+1)
	}
	half, exact := n/2, n/4
	const ulps = 1e-9 // where the quotient of logarithms is a whole number
	for d := -most; d <= most; d++ {
		bucket := max(d, -d)
		if bucket >= exact {
			bucket = min(half-1, exact+int(math.Log(float64(bucket)/float64(exact))/math.Log(float64(most)/float64(exact))*float64(half-exact)+ulps))
		}
		if d > 0 {
			bucket += half
		}
		for h := range relative {
			relative[h][d+most] = table[bucket*heads+h]
		}
	}
	return relative, nil
}

// Temperature multiplies queries by 1 + Scale·ln(1+⌊(pos+Shift)/Length⌋), so that attention stays
// sharp in long contexts (Nakanishi 2025, arXiv:2501.19399). The zero value does nothing.
type AttnTemperature struct {
	Scale  float64
	Length int
	Shift  int
}

func (t AttnTemperature) at(pos int) float32 {
	if t.Scale == 0 {
		return 1
	}
	return float32(1 + t.Scale*math.Log(float64(1+(pos+t.Shift)/t.Length)))
}

// ALiBi are the slopes of heads for a largest bias of most, usually 8: 2^(-most·h/n) for the h-th
// of the first n heads, n a power of 2, and those of twice as many heads, every second one, for the
// rest (Press et al. 2021, arXiv:2108.12409, and their code).
func ALiBi(heads int, most float64) []float32 {
	n := 1
	for 2*n <= heads {
		n *= 2
	}
	slopes := make([]float32, heads)
	for h := range slopes {
		x := float64(h+1) / float64(n)
		if h >= n {
			x = float64(2*(h-n)+1) / float64(2*n)
		}
		slopes[h] = float32(math.Exp2(-most * x))
	}
	return slopes
}

// Attention is softmax(scale·QKᵀ)·V over the positions of a sequence up to a row's own, or all of
// them.
type Attention struct{ c AttentionConfig }

// NewAttention checks the configuration.
func NewAttention(c AttentionConfig) (*Attention, error) {
	if c.HeadDimV == 0 {
		c.HeadDimV = c.HeadDim
	}
	switch {
	case c.NHead < 1 || c.NHeadKV < 1 || c.HeadDim < 1 || c.HeadDimV < 1 || c.NHead%c.NHeadKV != 0:
		return nil, fmt.Errorf("attention: want heads in whole groups per key head, found %d heads of %d over %d key heads", c.NHead, c.HeadDim, c.NHeadKV)
	case c.ValuesFromKeys && c.HeadDimV > c.HeadDim:
		return nil, fmt.Errorf("attention: want values within keys of %d, found values of %d", c.HeadDim, c.HeadDimV)
	case c.Sinks != nil && len(c.Sinks) != c.NHead || c.Slopes != nil && len(c.Slopes) != c.NHead:
		return nil, fmt.Errorf("attention: want a sink and a slope for each of %d heads, found %d and %d", c.NHead, len(c.Sinks), len(c.Slopes))
	case c.Relative != nil && (len(c.Relative) != c.NHead || slices.ContainsFunc(c.Relative, func(r []float32) bool { return len(r)%2 == 0 })):
		return nil, fmt.Errorf("attention: want what scores gain by distance to both sides and 0, for each of %d heads, found %d", c.NHead, len(c.Relative))
	case c.Window < 0 || c.Chunk < 0 || c.Temperature.Scale != 0 && c.Temperature.Length < 1:
		return nil, fmt.Errorf("attention: want a window and a length of tempering above 0, found %d and %d", c.Window, c.Temperature.Length)
	}
	if c.Scale == 0 {
		c.Scale = float32(1 / math.Sqrt(float64(c.HeadDim)))
	}
	return &Attention{c}, nil
}

// Spec is what the cache keeps for a layer of this attention: where rows see a window or a chunk,
// no more than that.
func (a *Attention) Spec() kv.Spec {
	c := &a.c
	s := kv.Spec{NHead: c.NHeadKV, KDim: c.HeadDim, VDim: c.HeadDimV, Window: c.Window}
	if c.ValuesFromKeys {
		s.VDim = 0
	}
	if c.Bidirectional {
		s.Window = 0 // what comes after a row comes in the same batch
	}
	if c.Chunk > 0 && (c.Window == 0 || c.Chunk < c.Window) {
		s.Window = c.Chunk
	}
	return s
}

// Attend stores the keys and values of the batch in the cache of the layer, then returns what every
// query reads, [n_tokens][n_head*value_length]; v is nil where values are part of the keys. Keys
// are read back from the cache, so a row sees other rows of the batch exactly as it will see them
// later.
func (p *Pass) Attend(a *Attention, q, k, v *tensor.Tensor) *tensor.Tensor {
	out := p.arena.New(q.Rows, a.c.NHead*a.c.HeadDimV)
	if !p.Aborted() && a.c.ValuesFromKeys {
		if t := p.store.KType(); a.c.HeadDimV%t.BlockSize() != 0 {
			p.Fail(fmt.Errorf("a cache of type %s wants values of a multiple of %d, found %d", t, t.BlockSize(), a.c.HeadDimV))
		}
	}
	if !p.Aborted() {
		j := &p.att
		j.p, j.a, j.q, j.k, j.v, j.out = p, a, q, k, v, out
		j.step = stepStore
		p.pool.Run(j, q.Rows)
		j.makeItems()
		if j.splitKV() {
			j.step = stepPartition
			p.pool.Run(j, len(j.partitions))
			j.step = stepReduce
		} else {
			j.step = stepAttend
		}
		p.pool.Run(j, len(j.items))
		p.notifyProbs(j)
	}
	p.notify(p.layer, NameAttnHeads, out)
	return out
}

// attendHeads is the number of query heads for which a tile of keys and values is converted once: a
// multiple of six, which some kernels take at once.
const attendHeads = 96

// workItem is some rows of a sequence and the query heads that share a key head.
type workItem struct {
	run      *run
	row, n   int
	head     int // of keys and values
	partials int // where the results of its spans begin, if they are worked out apart
}

// kvPartition is a partition of the keys as the rows of a work item see it.
type kvPartition struct{ item, number int }

type attendJob struct {
	p            *Pass
	a            *Attention
	q, k, v, out *tensor.Tensor
	step         attendStep
	items        []workItem
	partitions   []kvPartition
	partials     []float32 // what the units' heads have seen of each span
	probs        []float32
}

// attendStep is what a chunk of the job is.
type attendStep uint8

const (
	stepStore     attendStep = iota // a row
	stepAttend                      // a work item
	stepPartition                   // a partition of a work item
	stepReduce                      // the partitions of a work item
)

// Run does a chunk.
func (j *attendJob) Run(chunk, w int) {
	if j.p.interrupted.Load() {
		return
	}
	att := &j.p.workers[w].att
	switch j.step {
	case stepStore:
		j.store(chunk)
	case stepAttend:
		j.attend(&j.items[chunk], att)
	case stepPartition:
		s := j.partitions[chunk]
		j.attendPartition(&j.items[s.item], s.number, att)
	case stepReduce:
		j.reduce(&j.items[chunk], att)
	}
}

// makeItems makes the work items of the batch.
func (j *attendJob) makeItems() {
	j.items = j.items[:0]
	rows := max(1, attendHeads/j.a.group())
	for i := range j.p.runs {
		r := &j.p.runs[i]
		for row := 0; row < r.n; row += rows {
			for h := range j.a.c.NHeadKV {
				j.items = append(j.items, workItem{run: r, row: r.row + row, n: min(rows, r.n-row), head: h})
			}
		}
	}
}

// itemsPerThread is the number of units per thread that are shared out evenly enough, whatever they
// are.
const itemsPerThread = 4

// splitKV cuts the units into spans of keys where they alone would leave threads without work, and
// reports whether it did. The result has the same bits either way.
func (j *attendJob) splitKV() bool {
	threads := j.p.pool.Threads()
	if threads == 1 || len(j.items) >= itemsPerThread*threads || len(j.items)%threads == 0 && len(j.p.runs) == 1 {
		return false
	}
	j.partitions = j.partitions[:0]
	room := 0
	for i := range j.items {
		u := &j.items[i]
		u.partials = room
		for s := range j.partitionsOf(u) {
			j.partitions = append(j.partitions, kvPartition{i, s})
			room += kernels.PartialLen(u.n*j.a.group(), j.a.c.HeadDimV)
		}
	}
	if len(j.partitions) == len(j.items) {
		return false
	}
	if cap(j.partials) < room {
		j.partials = make([]float32, room, 2*room) // the next tokens will want more
	}
	j.partials = j.partials[:room]
	return true
}

// end is the position after the last that the rows of a work item see.
func (j *attendJob) end(u *workItem) int {
	if j.a.c.Bidirectional {
		return j.p.batch.Rows[u.run.row].Pos + u.run.n
	}
	return j.p.batch.Rows[u.row].Pos + u.n
}

// partitionsOf is the number of partitions that the rows of a work item see.
func (j *attendJob) partitionsOf(u *workItem) int { return (j.end(u)-1)/kernels.PartitionLen + 1 }

// queriesBefore is the number of query heads of a work item whose rows end before a partition.
func (j *attendJob) queriesBefore(u *workItem, partition int) int {
	if j.a.c.Bidirectional {
		return 0
	}
	return max(0, partition*kernels.PartitionLen-j.p.batch.Rows[u.row].Pos) * j.a.group()
}

// partialAt is where the results of a partition of a work item are kept.
func (j *attendJob) partialAt(u *workItem, partition int) []float32 {
	n := kernels.PartialLen(u.n*j.a.group(), j.a.c.HeadDimV)
	return j.partials[u.partials+partition*n:][:n]
}

func (j *attendJob) store(row int) {
	p, s, d, dv := j.p, j.p.store, j.a.c.HeadDim, j.a.c.HeadDimV
	seq, pos := p.batch.Rows[row].Seq, p.batch.Rows[row].Pos
	for h := range j.a.c.NHeadKV {
		p.isa.QuantizeRow(s.KType(), s.KRow(seq, p.layer, h, pos), head(j.k, row, h, d))
		if !j.a.c.ValuesFromKeys {
			p.isa.QuantizeRow(s.VType(), s.VRow(seq, p.layer, h, pos), head(j.v, row, h, dv))
		}
	}
}

// group is the number of query heads per key head.
func (a *Attention) group() int { return a.c.NHead / a.c.NHeadKV }

func (j *attendJob) attend(u *workItem, att *kernels.Attention) {
	j.begin(u, att)
	for s := range j.partitionsOf(u) {
		j.readPartition(u, s, att)
		j.p.isa.EndPartition(att, j.queriesBefore(u, s))
	}
	j.writeOut(u, att)
}

func (j *attendJob) attendPartition(u *workItem, partition int, att *kernels.Attention) {
	j.begin(u, att)
	j.readPartition(u, partition, att)
	att.StorePartial(j.partialAt(u, partition))
}

func (j *attendJob) reduce(u *workItem, att *kernels.Attention) {
	j.begin(u, att)
	for s := range j.partitionsOf(u) {
		j.p.isa.MergePartial(att, j.partialAt(u, s), j.queriesBefore(u, s))
	}
	j.writeOut(u, att)
}

func (j *attendJob) begin(u *workItem, att *kernels.Attention) {
	d, group := j.a.c.HeadDim, j.a.group()
	q := att.Begin(u.n*group, d, j.a.c.HeadDimV)
	for i := range u.n {
		for g := range group {
			h := u.head*group + g
			copy(q[(i*group+g)*d:], head(j.q, u.row+i, h, d))
			if j.a.c.Sinks != nil {
				att.Sink(i*group+g, j.a.c.Sinks[h])
			}
		}
		if t := j.a.c.Temperature.at(j.p.batch.Rows[u.row+i].Pos); t != 1 {
			j.p.isa.Scale(q[i*group*d:(i+1)*group*d], t)
		}
	}
}

// readPartition lets the rows of a work item see a partition of keys and values.
func (j *attendJob) readPartition(u *workItem, partition int, att *kernels.Attention) {
	const pages = kernels.PartitionLen / kv.PageLen
	p, s, c, heads := j.p, j.p.store, &j.a.c, u.n*j.a.group()
	first, end := p.batch.Rows[u.row].Pos, j.end(u)
	last := first + u.n - 1 // row
	for page := partition * pages; page < (partition+1)*pages && page*kv.PageLen < end; page++ {
		begin := page * kv.PageLen
		if c.from(first) >= begin+kv.PageLen || c.to(last, end) <= begin {
			continue // outside every row's window
		}
		n := min(end-begin, kv.PageLen)
		keys, values := j.tile(u, page)
		j.prefetch(u, page+1, end, len(keys), values, att)
		p.isa.Score(att, s.KType(), keys, n)
		if c.ValuesFromKeys {
			p.isa.ValuesOfKeys(att, s.KType(), keys, n)
		} else {
			p.isa.Values(att, s.VType(), values, n)
		}
		switch whole := begin+n <= c.to(first, end) && c.from(last) <= begin; {
		case whole && c.Cap == 0 && !c.byDistance():
			p.isa.UpdateSoftmax(att, 0, heads, n, c.Scale)
		case whole && !c.byDistance():
			p.isa.ApplyScoreMod(att, 0, heads, n, &kernels.ScoreMod{Scale: c.Scale, Cap: c.Cap})
			p.isa.UpdateSoftmax(att, 0, heads, n, 1)
		default:
			j.updateRows(u, begin, n, att)
		}
	}
}

// tile is the keys and the values of a work item in a page; none where values are part of the keys.
func (j *attendJob) tile(u *workItem, page int) (keys, values []byte) {
	keys = j.p.store.K(u.run.seq, j.p.layer, u.head, page)
	if !j.a.c.ValuesFromKeys {
		values = j.p.store.V(u.run.seq, j.p.layer, u.head, page)
	}
	return keys, values
}

// prefetch names what is read after keys of so many bytes: their values, then a page if it begins
// before the end.
func (j *attendJob) prefetch(u *workItem, page, end, keys int, values []byte, att *kernels.Attention) {
	var nextKeys, nextValues []byte
	if page*kv.PageLen < end {
		nextKeys, nextValues = j.tile(u, page)
	}
	if keys+len(values) <= kernels.SmallTile {
		att.Prefetch(nextKeys, nextValues)
	} else {
		att.Prefetch(values, nextKeys)
	}
}

// from is the first position that a row sees.
func (c *AttentionConfig) from(pos int) int {
	from := 0
	switch {
	case c.Window == 0:
	case c.Bidirectional:
		from = max(0, pos-c.Window/2)
	default:
		from = max(0, pos-c.Window+1)
	}
	if c.Chunk > 0 {
		from = max(from, pos/c.Chunk*c.Chunk)
	}
	return from
}

// to is the position after the last that a row sees, of end.
func (c *AttentionConfig) to(pos, end int) int {
	switch {
	case !c.Bidirectional:
		return pos + 1
	case c.Window == 0:
		return end
	}
	return min(end, pos+c.Window/2+1)
}

// byDistance reports whether scores depend on how far a key is.
func (c *AttentionConfig) byDistance() bool { return c.Slopes != nil || c.Relative != nil }

// updateRows lets every row of a work item see its own part of the n keys from begin on.
func (j *attendJob) updateRows(u *workItem, begin, n int, att *kernels.Attention) {
	c, group := &j.a.c, j.a.group()
	for i := range u.n {
		pos := j.p.batch.Rows[u.row].Pos + i
		from, seen := max(0, c.from(pos)-begin), min(c.to(pos, j.end(u))-begin, n)
		switch {
		case from >= seen:
		case j.modifyScores(u.head, i, begin, seen, pos, att):
			j.p.isa.UpdateSoftmax(att, i*group, (i+1)*group, seen, 1)
		default:
			j.p.isa.UpdateSoftmax(att, i*group, (i+1)*group, seen, c.Scale)
		}
	}
}

// modifyScores does to the scores of row i of a work item what is more than scaling, or reports
// that there is nothing to do.
func (j *attendJob) modifyScores(headKV, i, begin, seen, pos int, att *kernels.Attention) bool {
	c, group := &j.a.c, j.a.group()
	from := c.from(pos) - begin
	if c.Cap == 0 && !c.byDistance() && from <= 0 {
		return false
	}
	b := kernels.ScoreMod{Scale: c.Scale, Cap: c.Cap, Pos: pos - begin, From: from}
	if c.Slopes != nil {
		b.Slopes = c.Slopes[headKV*group : (headKV+1)*group]
	}
	if c.Relative != nil {
		b.Relative = c.Relative[headKV*group : (headKV+1)*group]
	}
	j.p.isa.ApplyScoreMod(att, i*group, (i+1)*group, seen, &b)
	return true
}

func (j *attendJob) writeOut(u *workItem, att *kernels.Attention) {
	group := j.a.group()
	for i := range u.n {
		for g := range group {
			att.End(i*group+g, head(j.out, u.row+i, u.head*group+g, j.a.c.HeadDimV))
		}
	}
}

// head is one head's part of a row.
func head(t *tensor.Tensor, row, h, d int) []float32 {
	at := row*t.Cols + h*d
	return t.F[at : at+d : at+d]
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// notifyProbs works the attention probabilities out once more for the rows whose hook asks for
// them.
func (p *Pass) notifyProbs(j *attendJob) {
	for i := range p.runs {
		r := &p.runs[i]
		for row := r.row; row < r.row+r.n; row++ {
			if h := p.wants(row, p.layer, NameAttnProbs); h != nil {
				p.observe(h, row, p.layer, NameAttnProbs, j.rowProbs(r, row), nil)
			}
		}
	}
}

// rowProbs returns the probabilities of a row, for every head those of the positions up to the last
// that it sees.
func (j *attendJob) rowProbs(r *run, row int) []float32 {
	p, att := j.p, &j.p.workers[0].att
	pos, group := p.batch.Rows[row].Pos, j.a.group()
	n := j.a.c.to(pos, p.batch.Rows[r.row].Pos+r.n)
	j.probs = grow(j.probs, j.a.c.NHead*n)
	for h := range j.a.c.NHeadKV {
		j.begin(&workItem{run: r, row: row, n: 1, head: h}, att)
		for at := 0; at < n; at += kv.PageLen {
			m := min(kv.PageLen, n-at)
			if j.a.c.from(pos) >= at+kv.PageLen { // before the row's window, and perhaps given up
				for g := range group {
					maskScores(j.probs[(h*group+g)*n+at:][:m])
				}
				continue
			}
			p.isa.Score(att, p.store.KType(), p.store.K(r.seq, p.layer, h, at/kv.PageLen), m)
			modified := j.modifyScores(h, 0, at, m, pos, att)
			for g := range group {
				probs := j.probs[(h*group+g)*n+at:][:m]
				copy(probs, att.Scores(g))
				if !modified {
					p.isa.Scale(probs, j.a.c.Scale)
				}
			}
		}
	}
	for h := range j.a.c.NHead {
		probs := j.probs[h*n : (h+1)*n]
		if j.a.c.Sinks != nil {
			sinkSoftmax(probs, j.a.c.Sinks[h])
		} else {
			kernels.Softmax(probs)
		}
	}
	return j.probs
}

// maskScores makes scores those of keys that are not seen.
func maskScores(scores []float32) {
	for i := range scores {
		scores[i] = float32(math.Inf(-1))
	}
}

// sinkSoftmax is a softmax that has one score more than it returns probabilities of.
func sinkSoftmax(x []float32, sink float32) {
	rowMax := max(slices.Max(x), sink)
	sum := kernels.Exp(sink - rowMax)
	for i, v := range x {
		x[i] = kernels.Exp(v - rowMax)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}
