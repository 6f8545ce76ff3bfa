package hf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// groups are the weights of a checkpoint by GPTQ or AWQ: integers of a few bits, and for each group
// of neighbouring inputs and each output a scale and a zero point:
//
//	w[out][in] = scale[group of in][out] · (code[in][out] - zero[group of in][out])
//
// As tensors, with n codes to a word of 32 bits, the first one lowest:
//
//	GPTQ  qweight [in/n][out]  words of n inputs
//	      g_idx [in]           the group of each input
//	AWQ   qweight [in][out/n]  words of n outputs, in the order 0 2 4 6 1 3 5 7
//	both  qzeros [groups][out/n], scales [groups][out]
//
// GPTQ's files hold zero points less one, but for those with checkpoint_format gptq_v2.
//
// These weights are blocks of GGUF, if the groups are of 32 inputs or a multiple: of Q4_0 or Q8_0,
// and then no digit changes, where all zero points are in the middle; else of Q4_1, whose offset
// -scale·zero is rounded to half precision, some thousandths of a step. What fits neither is in
// half precision. All weights of a checkpoint are of one type, so that those of experts can stand
// in one tensor.
type groups struct {
	by       map[string]*safetensors.Tensor
	awq      bool
	bits     int
	size     int // inputs of a group, 0 for all of them
	zeroPlus int // 1 where files hold zero points less one
	form     quant.Type
}

// readGroups reads quantization_config and decides what type the weights get.
func readGroups(q *Config, method string, by map[string]*safetensors.Tensor) (*groups, error) {
	g := &groups{by: by, awq: method == "awq", bits: q.Or(4, "bits", "w_bit")}
	g.size = max(0, intOr(q, -1, "group_size", "q_group_size"))
	unsupported := func(format string, args ...any) error {
		return fault.Bad(q.path, fmt.Errorf("quantization_config: %w "+format, append([]any{ErrUnsupported}, args...)...))
	}
	if g.awq {
		if v := strings.ToLower(q.Text("version")); v != "" && v != "gemm" {
			return nil, unsupported("version %s of AWQ: want gemm", quoted(v))
		}
	} else {
		switch f := q.Text("checkpoint_format", "format"); f {
		case "", "gptq":
			g.zeroPlus = 1
		case "gptq_v2":
		default:
			return nil, unsupported("checkpoint_format %s: want gptq or gptq_v2", quoted(f))
		}
	}
	if *q.err != nil {
		return nil, *q.err
	}
	if g.bits != 4 && (g.awq || g.bits != 8) {
		return nil, unsupported("%d bits: want 4, or 8 of GPTQ", g.bits)
	}
	return g, g.decide()
}

// intOr is a whole number that may be negative.
func intOr(c *Config, def int, keys ...string) int {
	if _, v := c.find(keys); v != nil {
		if x, ok := number(v); ok && x == -1 {
			return -1
		}
	}
	return c.Or(def, keys...)
}

// decide finds the type that all weights fit.
func (g *groups) decide() error {
	middle, blocks := true, true
	for name, t := range g.by {
		if !strings.HasSuffix(name, ".qweight") {
			continue
		}
		p, _, err := g.packed(name)
		if err != nil {
			return fault.Bad(t.Path, fmt.Errorf("tensor %s: %w", quoted(name), err))
		}
		middle = middle && p.zerosAre(1<<(g.bits-1))
		blocks = blocks && p.inOrder() && p.halfScales()
	}
	switch {
	case blocks && middle && g.bits == 8:
		g.form = quant.Q8_0
	case blocks && middle:
		g.form = quant.Q4_0
	case blocks && g.bits == 4:
		g.form = quant.Q4_1
	default:
		g.form = quant.F16
	}
	return nil
}

// unpack makes a weight of the tensors of a group, if name is that of the first one.
func (g *groups) unpack(name string) (weight, []string, error) {
	if !strings.HasSuffix(name, ".qweight") {
		return weight{}, nil, nil
	}
	p, parts, err := g.packed(name)
	if err != nil {
		return weight{}, nil, err
	}
	return weight{g.form, []int{p.out, p.in}, p}, parts, nil
}

// packed is one matrix.
type packed struct {
	*groups
	in, out       int
	weight, zeros []byte // words
	scales        weight // [groups][out]
	group         []byte // g_idx; nil where groups follow one another
}

// packed finds and checks the tensors of a matrix.
func (g *groups) packed(name string) (*packed, []string, error) {
	base, words := strings.TrimSuffix(name, "qweight"), []safetensors.DType{safetensors.I32, safetensors.U32}
	n := 32 / g.bits
	t := g.by[name]
	if !slices.Contains(words, t.DType) || len(t.Shape) != 2 {
		return nil, nil, fmt.Errorf("%s %v: want words of 32 bits in two dimensions", t.DType, t.Shape)
	}
	p := &packed{groups: g, in: t.Shape[0] * n, out: t.Shape[1], weight: t.Data}
	if g.awq {
		p.in, p.out = t.Shape[0], t.Shape[1]*n
	}
	if p.out%n != 0 || p.in == 0 || p.out == 0 {
		return nil, nil, fmt.Errorf("%v: want at least one, and outputs in words of %d", t.Shape, n)
	}
	parts := []string{name}
	find := func(part string) (*safetensors.Tensor, error) {
		t, ok := g.by[base+part]
		if !ok {
			return nil, fmt.Errorf("no tensor %s", quoted(base+part))
		}
		parts = append(parts, base+part)
		return t, nil
	}
	zeros, err := find("qzeros")
	if err != nil {
		return nil, nil, err
	}
	scales, err := find("scales")
	if err != nil {
		return nil, nil, err
	}
	count := p.groupsOf()
	if err := wantShape(zeros, words, count, p.out/n); err != nil {
		return nil, nil, err
	}
	if err := wantShape(scales, []safetensors.DType{safetensors.F16, safetensors.BF16, safetensors.F32}, count, p.out); err != nil {
		return nil, nil, err
	}
	p.zeros = zeros.Data
	p.scales, _ = plain(scales)
	if _, ok := g.by[base+"g_idx"]; ok && !g.awq {
		idx, err := find("g_idx")
		if err != nil {
			return nil, nil, err
		}
		if err := wantShape(idx, words, p.in); err != nil {
			return nil, nil, err
		}
		if err := p.readOrder(idx.Data); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", quoted(idx.Name), err)
		}
	}
	return p, parts, nil
}

// groupsOf is the number of groups.
func (p *packed) groupsOf() int {
	if p.size == 0 {
		return 1
	}
	return (p.in + p.size - 1) / p.size
}

// readOrder takes over g_idx, if it says anything.
func (p *packed) readOrder(idx []byte) error {
	n := uint32(p.groupsOf())
	inOrder := true
	for i := range p.in {
		g := binary.LittleEndian.Uint32(idx[4*i:])
		if g >= n {
			return fmt.Errorf("input %d is of group %d of %d", i, int32(g), n)
		}
		inOrder = inOrder && int(g) == p.groupOf(i)
	}
	if !inOrder {
		p.group = idx
	}
	return nil
}

// groupOf is the group of an input.
func (p *packed) groupOf(i int) int {
	switch {
	case p.group != nil:
		return int(binary.LittleEndian.Uint32(p.group[4*i:]))
	case p.size == 0:
		return 0
	}
	return i / p.size
}

// inOrder reports whether groups are of whole blocks of 32.
func (p *packed) inOrder() bool {
	return p.group == nil && p.in%quant.Q4_0.BlockSize() == 0 && p.size%quant.Q4_0.BlockSize() == 0
}

// halfScales reports whether half precision holds the scales.
func (p *packed) halfScales() bool {
	if p.scales.Type == quant.F16 {
		return true
	}
	x := make([]float32, p.out)
	for g := range p.groupsOf() {
		p.scalesOf(x, g)
		for _, s := range x {
			if quant.Half(quant.ToHalf(s)) != s {
				return false
			}
		}
	}
	return true
}

// scalesOf is the scales of a group, for all outputs.
func (p *packed) scalesOf(dst []float32, group int) {
	quant.Dequantize(p.scales.Type, dst, fetch(p.scales, group, 1))
}

// awqPlace is where in a word AWQ has the code of an output: outputs are stored in the order 0 2 4
// 6 1 3 5 7.
var awqPlace = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

// zero is the zero point of a group and an output.
func (p *packed) zero(group, out int) int {
	n := 32 / p.bits
	at := out % n
	if p.awq {
		at = awqPlace[at]
	}
	word := binary.LittleEndian.Uint32(p.zeros[4*(group*(p.out/n)+out/n):])
	return (int(word>>(at*p.bits)) + p.zeroPlus) & (1<<p.bits - 1)
}

// zerosAre reports whether all zero points are z.
func (p *packed) zerosAre(z int) bool {
	for g := range p.groupsOf() {
		for o := range p.out {
			if p.zero(g, o) != z {
				return false
			}
		}
	}
	return true
}

// codes fills dst with the codes of outputs from first on, [outputs][in].
func (p *packed) codes(dst []uint8, first int) {
	n, mask, rows := 32/p.bits, uint32(1)<<p.bits-1, len(dst)/p.in
	if p.awq {
		for i := range p.in {
			for o := range rows {
				at := i*(p.out/n) + (first+o)/n
				dst[o*p.in+i] = uint8(binary.LittleEndian.Uint32(p.weight[4*at:]) >> (awqPlace[(first+o)%n] * p.bits) & mask)
			}
		}
		return
	}
	for i := 0; i < p.in; i += n {
		line := p.weight[4*(i/n*p.out+first):]
		for o := range rows {
			word := binary.LittleEndian.Uint32(line[4*o:])
			for j := range n {
				dst[o*p.in+i+j] = uint8(word & mask)
				word >>= p.bits
			}
		}
	}
}

// View implements gguf.Rows: no rows are stored.
func (p *packed) View(int, int) []byte { return nil }

// together is how many rows are made at a time: enough that the words of a line are read in one go.
const together = 64

// Read implements gguf.Rows.
func (p *packed) Read(dst []byte, first int) {
	size := p.form.RowBytes(p.in)
	codes := make([]uint8, min(together, len(dst)/size)*p.in)
	scales := make([]float32, p.groupsOf()*p.out)
	for g := range p.groupsOf() {
		p.scalesOf(scales[g*p.out:(g+1)*p.out], g)
	}
	for len(dst) > 0 {
		n := min(together, len(dst)/size)
		p.codes(codes[:n*p.in], first)
		for o := range n {
			p.encode(dst[o*size:(o+1)*size], codes[o*p.in:(o+1)*p.in], scales, first+o)
		}
		dst, first = dst[n*size:], first+n
	}
}

// encode writes a row of codes as what it stands for.
func (p *packed) encode(dst []byte, codes []uint8, scales []float32, out int) {
	if p.form == quant.F16 {
		for i, c := range codes {
			g := p.groupOf(i)
			w := scales[g*p.out+out] * float32(int(c)-p.zero(g, out))
			binary.LittleEndian.PutUint16(dst[2*i:], quant.ToHalf(w))
		}
		return
	}
	const block = 32
	for i := 0; i < len(codes); i += block {
		g := p.groupOf(i)
		scale := scales[g*p.out+out]
		binary.LittleEndian.PutUint16(dst, quant.ToHalf(scale))
		dst = dst[2:]
		if p.form == quant.Q4_1 {
			binary.LittleEndian.PutUint16(dst, quant.ToHalf(-scale*float32(p.zero(g, out))))
			dst = dst[2:]
		}
		cs := codes[i : i+block]
		if p.form == quant.Q8_0 {
			for j, c := range cs {
				dst[j] = c - 128
			}
			dst = dst[block:]
			continue
		}
		for j := range block / 2 {
			dst[j] = cs[j] | cs[j+block/2]<<4
		}
		dst = dst[block/2:]
	}
}
