package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/quant"
)

// BenchmarkMul multiplies matrices that do not fit in the caches, one after another: MB/s are bytes
// of weights.
func BenchmarkMul(b *testing.B) {
	usable := cpu.Usable()
	for _, typ := range weightTypes() {
		for _, l := range isas() {
			if !slices.Contains(usable, l.name) || l.matMuls[typ].tile == nil && l.matMuls[typ].floats == nil && l.name != "go" {
				continue
			}
			for _, tokens := range []int{1, 512} {
				b.Run(fmt.Sprintf("%s/%s/2048x2048/%d", typ, l.name, tokens), func(b *testing.B) { benchmarkMul(b, l, typ, tokens) })
			}
		}
	}
}

func benchmarkMul(b *testing.B, l *ISA, typ quant.Type, tokens int) {
	const rows, k, beyondCaches = 2048, 2048, 400 << 20
	one, a := weights(b, typ, rows, k), acts(tokens, k)
	copies := 1
	if tokens == 1 {
		copies = beyondCaches/len(one) + 1
	}
	w := slices.Repeat(one, copies)
	m, err := l.MatMul(typ)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]float32, rows*tokens)
	var s Scratch
	b.SetBytes(int64(len(one)))
	i := 0
	for b.Loop() {
		at := i % copies * len(one)
		m.Mul(dst, rows, w[at:at+len(one)], rows, k, a, 0, tokens, &s)
		i++
	}
	b.ReportMetric(2*rows*k*float64(tokens)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOPS")
}
