package kernels

import (
	"sync"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/quant"
)

// level is what is computed how with one set of instructions.
type level struct {
	name string
	mats [quant.NumTypes]Mat
}

// levels lists those of this build from low to high. Each begins as a copy of a lower one, so that what it has no assembly for is there all the
// same.
var levels = sync.OnceValue(func() []*level {
	ls := []*level{{name: "go", mats: goMats(false)}}
	return assembly(ls)
})

// current is the level in use.
var current = sync.OnceValues(func() (*level, error) {
	name, err := cpu.Level()
	if err != nil {
		return nil, err
	}
	for _, l := range levels() {
		if l.name == name {
			return l, nil
		}
	}
	panic("kernels: internal/cpu chose level " + name + ", which has no kernels")
})

// setTile enters a block format's kernels.
func (l *level) setTile(t quant.Type, k tile) {
	l.mats[t] = Mat{Type: t, Act: ActQ8, mul: mulTiles, tile: &k}
}
