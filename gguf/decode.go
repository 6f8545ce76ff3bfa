package gguf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/goinfer/goinfer/quant"
)

// Bounds on what a header may hold, far above any model, so that a hostile file cannot make the
// index much larger than itself.
const (
	maxKeys    = 1 << 16
	maxTensors = 1 << 17
	maxDepth   = 4 // arrays in arrays
	maxDims    = 4
	maxAlign   = 1 << 20
	maxName    = 1<<16 - 1 // bytes, as the format has it for keys
)

// The fewest bytes of an entry (an empty key, its type, a value of one byte) and of a tensor (an
// empty name, one dimension).
const (
	leastEntry  = 8 + 4 + 1
	leastTensor = 8 + 4 + 8 + 4 + 8
)

// errShort says that the bytes at hand end before the value does, though the file may go on.
var errShort = errors.New("the header goes on")

// decoder reads a header from the bytes at hand.
type decoder struct {
	data []byte
	off  int
	size int64 // bytes of the whole file; data may be its beginning
}

// need checks that n more bytes exist.
func (d *decoder) need(n uint64, what string) error {
	if n <= uint64(len(d.data)-d.off) {
		return nil
	}
	if n <= uint64(d.size)-uint64(d.off) {
		return errShort
	}
	return fmt.Errorf("%s of %d bytes runs past the end of the file (%d bytes)", what, n, d.size)
}

func (d *decoder) u32(what string) (uint32, error) {
	if err := d.need(4, what); err != nil {
		return 0, err
	}
	d.off += 4
	return le.Uint32(d.data[d.off-4:]), nil
}

func (d *decoder) u64(what string) (uint64, error) {
	if err := d.need(8, what); err != nil {
		return 0, err
	}
	d.off += 8
	return le.Uint64(d.data[d.off-8:]), nil
}

func (d *decoder) bytes(n uint64, what string) ([]byte, error) {
	if err := d.need(n, what); err != nil {
		return nil, err
	}
	d.off += int(n)
	return d.data[d.off-int(n) : d.off : d.off], nil
}

// string reads a string; what and length are what errors call it and its length.
func (d *decoder) string(what, length string) ([]byte, error) {
	n, err := d.u64(length)
	if err != nil {
		return nil, err
	}
	return d.bytes(n, what)
}

// name reads a string that is kept: of a key, of a tensor.
func (d *decoder) name(what, length string) (string, error) {
	b, err := d.string(what, length)
	if err == nil && len(b) > maxName {
		err = fmt.Errorf("%s of %d bytes: want at most %d", what, len(b), maxName)
	}
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// value reads a value of kind k.
func (d *decoder) value(k Kind, depth int) (Value, error) {
	switch {
	case k >= numKinds:
		return Value{}, fmt.Errorf("unknown value type %d", uint32(k))
	case k == String:
		b, err := d.string("a string", "the length of a string")
		return Value{kind: String, n: len(b), data: b}, err
	case k != Array:
		b, err := d.bytes(uint64(kinds[k].size), "a value")
		if err == nil && k == Bool {
			err = truths(b)
		}
		return Value{kind: k, data: b}, err
	}
	if depth == maxDepth {
		return Value{}, fmt.Errorf("arrays nested deeper than %d", maxDepth)
	}
	e, err := d.u32("an element type")
	if err != nil {
		return Value{}, err
	}
	elem := Kind(e)
	if elem >= numKinds {
		return Value{}, fmt.Errorf("unknown element type %d", e)
	}
	n, err := d.u64("an array length")
	if err != nil {
		return Value{}, err
	}
	// The smallest element: a string is at least its length, an array its type and length.
	least := uint64(kinds[elem].size)
	switch elem {
	case String:
		least = 8
	case Array:
		least = 12
	}
	hi, total := bits.Mul64(n, least)
	if hi != 0 {
		return Value{}, fmt.Errorf("an array of %d %ss is larger than any file", n, elem)
	}
	if err := d.need(total, "an array"); err != nil {
		return Value{}, err
	}
	start := d.off
	if kinds[elem].size != 0 {
		d.off += int(total)
		if elem == Bool {
			if err := truths(d.data[start:d.off]); err != nil {
				return Value{}, err
			}
		}
	} else {
		for range n {
			if _, err := d.value(elem, depth+1); err != nil {
				return Value{}, err
			}
		}
	}
	return Value{kind: Array, elem: elem, n: int(n), data: d.data[start:d.off:d.off]}, nil
}

// truths checks the bytes of bools.
func truths(b []byte) error {
	for _, x := range b {
		if x > 1 {
			return fmt.Errorf("want a bool of 0 or 1, found %d", x)
		}
	}
	return nil
}

// header is what the front of a file holds.
type header struct {
	version  int
	keys     []string
	values   map[string]Value
	tensors  []Tensor
	align    int64
	dataFrom int64
}

// readHeader parses the header of a file of d.size bytes. On a fault it returns the key or name
// that it concerns.
func readHeader(d *decoder) (h *header, key string, err error) {
	switch magic := string(d.data[:min(4, len(d.data))]); magic {
	case "GGUF":
	case "":
		return nil, "", errors.New("no GGUF file: it is empty")
	case "FUGG":
		return nil, "", fmt.Errorf("a big-endian file: %w", ErrUnsupported)
	default:
		return nil, "", fmt.Errorf("no GGUF file: it begins with %q", magic)
	}
	d.off = 4
	version, err := d.u32("the version")
	if err != nil {
		return nil, "", err
	}
	switch {
	case version == 2 || version == 3:
	case version == 1:
		return nil, "", fmt.Errorf("GGUF version 1: supported are 2 and 3; convert it with a tool of 2023: %w", ErrUnsupported)
	case version != 0 && version&0xffff == 0:
		return nil, "", fmt.Errorf("a big-endian file: %w", ErrUnsupported)
	default:
		return nil, "", fmt.Errorf("GGUF version %d: supported are 2 and 3: %w", version, ErrUnsupported)
	}
	nTensors, err := d.u64("the number of tensors")
	if err != nil {
		return nil, "", err
	}
	nKeys, err := d.u64("the number of metadata entries")
	if err != nil {
		return nil, "", err
	}
	if nTensors > maxTensors || nKeys > maxKeys {
		return nil, "", fmt.Errorf("%d tensors and %d metadata entries: want at most %d and %d", nTensors, nKeys, maxTensors, maxKeys)
	}
	if size := uint64(d.size); nTensors*leastTensor+nKeys*leastEntry > size-uint64(d.off) {
		return nil, "", fmt.Errorf("%d tensors and %d metadata entries do not fit the file (%d bytes)", nTensors, nKeys, size)
	}
	h = &header{version: int(version), keys: make([]string, 0, nKeys), values: make(map[string]Value, nKeys), tensors: make([]Tensor, 0, nTensors), align: 32}
	for range nKeys {
		if key, err = d.name("a key", "the length of a key"); err != nil {
			return nil, "", err
		}
		kind, err := d.u32("a value type")
		if err != nil {
			return nil, key, err
		}
		v, err := d.value(Kind(kind), 0)
		if err != nil {
			return nil, key, err
		}
		if _, ok := h.values[key]; ok {
			return nil, key, errors.New("the key occurs twice")
		}
		h.keys = append(h.keys, key)
		h.values[key] = v
	}
	if v, ok := h.values["general.alignment"]; ok {
		n, ok := v.Uint()
		if !ok || n == 0 || n > maxAlign || n&(n-1) != 0 {
			return nil, "general.alignment", fmt.Errorf("want a power of two up to %d, found %s", maxAlign, v)
		}
		h.align = int64(n)
	}
	for range nTensors {
		t, err := d.tensor(h.align)
		if err != nil {
			return nil, t.Name, err
		}
		h.tensors = append(h.tensors, t)
	}
	h.dataFrom = (int64(d.off) + h.align - 1) / h.align * h.align
	return h, "", nil
}

// tensor reads a tensor's description. Its place is checked later, when the beginning of the data
// is known.
func (d *decoder) tensor(align int64) (t Tensor, err error) {
	if t.Name, err = d.name("a tensor name", "the length of a tensor name"); err != nil {
		return t, err
	}
	dims, err := d.u32("the number of dimensions")
	if err != nil {
		return t, err
	}
	if dims < 1 || dims > maxDims {
		return t, fmt.Errorf("want 1 to %d dimensions, found %d", maxDims, dims)
	}
	size, elements := uint64(d.size), uint64(1)
	t.Shape = make([]int, 0, dims)
	for range dims {
		n, err := d.u64("a dimension")
		if err != nil {
			return t, err
		}
		if n == 0 {
			return t, fmt.Errorf("dimension %d is 0: want at least 1", len(t.Shape))
		}
		// No format needs less than a bit per weight.
		hi, product := bits.Mul64(elements, n)
		if hi != 0 || product > 8*size || n > math.MaxInt {
			return t, fmt.Errorf("dimension %d is %d, after %v: want a tensor that fits the file (%d bytes)", len(t.Shape), n, t.Shape, size)
		}
		elements = product
		t.Shape = append(t.Shape, int(n))
	}
	typ, err := d.u32("a tensor type")
	if err != nil {
		return t, err
	}
	t.Type = quant.Type(typ)
	if !t.Type.Valid() {
		return t, fmt.Errorf("tensor type %d is none that this version reads: %w", typ, ErrUnsupported)
	}
	if b := t.Type.BlockSize(); t.Shape[0]%b != 0 {
		return t, fmt.Errorf("rows of %d %s weights: want a multiple of %d", t.Shape[0], t.Type, b)
	}
	t.Bytes = int64(elements) / int64(t.Type.BlockSize()) * int64(t.Type.BlockBytes())
	offset, err := d.u64("an offset")
	if err != nil {
		return t, err
	}
	if offset > size || offset%uint64(align) != 0 {
		return t, fmt.Errorf("offset %d: want a multiple of %d within the file (%d bytes)", offset, align, size)
	}
	t.Offset = int64(offset)
	return t, nil
}
