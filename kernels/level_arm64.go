//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

func assembly(ls []*Level) []*Level {
	return append(ls, dotprod(*ls[0]))
}

// kernels8 are the kernels of a block format for tiles of eight rows.
type kernels8 struct {
	t      quant.Type
	rows   func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	unpack func(p *byte, s, m *float32, w *byte, stride, blocks int)
}

// set8 enters tiles of eight rows, whose bytes are signed.
func (l *Level) set8(k kernels8, panel [4]func(*byte)) {
	l.setTile(k.t, tile{size: 8, at: 1, rows: k.rows, unpack: k.unpack, panel: panel})
}

func dotprod(l Level) *Level {
	l.name = "dotprod"
	for _, k := range []kernels8{
		{quant.Q4_0, rowsQ4_0DotProd, unpackQ4_0DotProd},
		{quant.Q4_1, rowsQ4_1DotProd, unpackQ4_1DotProd},
		{quant.Q5_0, rowsQ5_0DotProd, unpackQ5_0DotProd},
		{quant.Q5_1, rowsQ5_1DotProd, unpackQ5_1DotProd},
		{quant.Q8_0, rowsQ8_0DotProd, unpackQ8_0DotProd},
		{quant.IQ4_NL, rowsIQ4_NLDotProd, unpackIQ4_NLDotProd},
		{quant.MXFP4, rowsMXFP4DotProd, unpackMXFP4DotProd},
		{quant.Q2_K, rowsQ2_KDotProd, unpackQ2_KDotProd},
		{quant.Q3_K, rowsQ3_KDotProd, unpackQ3_KDotProd},
		{quant.Q4_K, rowsQ4_KDotProd, unpackQ4_KDotProd},
		{quant.Q5_K, rowsQ5_KDotProd, unpackQ5_KDotProd},
		{quant.Q6_K, rowsQ6_KDotProd, unpackQ6_KDotProd},
		{quant.IQ4_XS, rowsIQ4_XSDotProd, unpackIQ4_XSDotProd},
	} {
		var p [4]func(*byte)
		switch {
		case k.t.Group() == 32 && k.t.HasMin():
			p = [4]func(*byte){panel32Minx1DotProd, panel32Minx2DotProd, panel32Minx3DotProd, panel32Minx4DotProd}
		case k.t.Group() == 32:
			p = [4]func(*byte){panel32x1DotProd, panel32x2DotProd, panel32x3DotProd, panel32x4DotProd}
		case k.t.HasMin():
			p = [4]func(*byte){panel16Minx1DotProd, panel16Minx2DotProd, panel16Minx3DotProd, panel16Minx4DotProd}
		default:
			p = [4]func(*byte){panel16x1DotProd, panel16x2DotProd, panel16x3DotProd, panel16x4DotProd}
		}
		l.set8(k, p)
	}
	return &l
}
