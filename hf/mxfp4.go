package hf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// unpackMXFP4 joins the tensors of checkpoints in MXFP4 (Open Compute Project 2023, OCP
// Microscaling Formats): NAME_blocks, [...][rows][cols/32][16], with two weights of four bits in a
// byte, the first in the lower half, and NAME_scales, [...][rows][cols/32], become the weight
// NAME_blocks, [...][rows][cols]. Others are as stored.
func unpackMXFP4(ts []safetensors.Tensor) ([]named, error) {
	byName := make(map[string]*safetensors.Tensor, len(ts))
	for i := range ts {
		byName[ts[i].Name] = &ts[i]
	}
	var ws []named
	for i := range ts {
		t := &ts[i]
		if base, ok := strings.CutSuffix(t.Name, "_scales"); ok && byName[base+"_blocks"] != nil {
			continue
		}
		if base, ok := strings.CutSuffix(t.Name, "_blocks"); ok && byName[base+"_scales"] != nil {
			w, err := joined(t, byName[base+"_scales"])
			if err != nil {
				return nil, err
			}
			ws = append(ws, named{t.Name, w})
			continue
		}
		if w, ok := plain(t); ok {
			ws = append(ws, named{t.Name, w})
		}
	}
	return ws, nil
}

// joined is the weight of blocks and their scales.
func joined(blocks, scales *safetensors.Tensor) (weight, error) {
	n := len(blocks.Shape)
	if blocks.DType != safetensors.U8 || scales.DType != safetensors.U8 || n < 3 || blocks.Shape[n-1] != 16 || !slices.Equal(blocks.Shape[:n-1], scales.Shape) {
		return weight{}, fmt.Errorf("tensor %s: want blocks U8 [...][16] and scales U8 [...], found %s %v and %s %v",
			quoted(blocks.Name), blocks.DType, blocks.Shape, scales.DType, scales.Shape)
	}
	shape := slices.Clone(blocks.Shape[:n-1])
	perRow := shape[n-2]
	shape[n-2] *= 32
	return weight{quant.MXFP4, shape, nibbles{blocks.Data, scales.Data, perRow}}, nil
}

// nibbles are rows of so many blocks each, whose weights and scales are stored apart.
type nibbles struct {
	weights, scales []byte
	blocks          int
}

func (m nibbles) View(int, int) []byte { return nil }

// Read writes GGUF's blocks: the scale, then 16 bytes with weight i in the lower half of byte i and
// weight i+16 in the upper.
func (m nibbles) Read(dst []byte, first int) {
	const size = 1 + 16
	at := func(b []byte, i int) byte { return b[i/2] >> (4 * (i % 2)) & 15 }
	for i := first * m.blocks; len(dst) > 0; i, dst = i+1, dst[size:] {
		from := m.weights[16*i : 16*i+16]
		dst[0] = m.scales[i]
		for j := range 16 {
			dst[1+j] = at(from, j) | at(from, j+16)<<4
		}
	}
}
