//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

func assembly(ls []*ISA) []*ISA {
	l := *ls[0]
	l.setFloats()
	for _, a := range []struct {
		name    string
		formats []kernels8
	}{
		{"neon", formatsNEON},
		{"dotprod", formatsDotProd},
		{"i8mm", formatsI8MM},
	} {
		l.name = a.name
		for _, k := range a.formats {
			l.setBlockFormat(k.t, tile{lanes: 8, panels: 1, gemv: k.gemv, pack: k.pack, microkernel: k.microkernel})
		}
		next := l
		ls = append(ls, &next)
	}
	return ls
}

// kernels8 are the kernels of a block format for tiles of eight rows, with signed bytes in the
// panels.
type kernels8 struct {
	t           quant.Type
	gemv        func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	pack        func(p *byte, s, m *float32, w *byte, stride, blocks int)
	microkernel [4]func(args *byte)
}
