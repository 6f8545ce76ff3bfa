package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

// Bounds on what a header may hold, above any model. The first is that of the format's own library.
const (
	maxHeader  = 100_000_000 // bytes
	maxTensors = 1 << 18
	maxDims    = 8
)

// DType is the type of a tensor's elements, spelt as in files.
type DType string

// The types.
const (
	F64    DType = "F64"
	F32    DType = "F32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	F8E4M3 DType = "F8_E4M3" // 4 bits of exponent, 3 of mantissa, no infinity (arXiv:2209.05433)
	F8E5M2 DType = "F8_E5M2"
	F8E8M0 DType = "F8_E8M0" // powers of two, of microscaling
	I64    DType = "I64"
	U64    DType = "U64"
	I32    DType = "I32"
	U32    DType = "U32"
	I16    DType = "I16"
	U16    DType = "U16"
	I8     DType = "I8"
	U8     DType = "U8"
	Bool   DType = "BOOL"
)

var sizes = map[DType]int{
	F64: 8, F32: 4, F16: 2, BF16: 2, F8E4M3: 1, F8E5M2: 1, F8E8M0: 1, I64: 8, U64: 8, I32: 4, U32: 4, I16: 2, U16: 2, I8: 1, U8: 1, Bool: 1,
}

// Size is the number of bytes of an element, 0 for a type that is unknown.
func (d DType) Size() int { return sizes[d] }

// header is what the beginning of a file declares.
type header struct {
	tensors []Tensor          // in the order of their bytes
	meta    map[string]string // the entry __metadata__
}

// readHeader reads the header of a file with these bytes and checks it, and gives the tensors their
// views. On a fault it returns the name of the tensor that it concerns.
func readHeader(file []byte) (h header, name string, err error) {
	if len(file) < 8 {
		return h, "", fmt.Errorf("no safetensors file: want at least 8 bytes, found %d", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	switch {
	case n > maxHeader:
		return h, "", fmt.Errorf("no safetensors file: it begins with %d as the length of its header: want at most %d", n, maxHeader)
	case n > uint64(len(file)-8):
		return h, "", fmt.Errorf("a header of %d bytes runs past the end of the file (%d bytes)", n, len(file))
	}
	if h, name, err = parseHeader(file[8 : 8+n]); err != nil {
		return h, name, err
	}
	name, err = h.place(file[8+n:])
	return h, name, err
}

// place checks that the tensors fill the data, one after the other, and gives each its bytes.
func (h *header) place(data []byte) (name string, err error) {
	slices.SortStableFunc(h.tensors, func(a, b Tensor) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Bytes, b.Bytes)) })
	end := int64(0)
	for i := range h.tensors {
		t := &h.tensors[i]
		switch {
		case t.Offset < end:
			return t.Name, fmt.Errorf("begins at offset %d, within the tensor %s, which ends at %d", t.Offset, quoted(h.tensors[i-1].Name), end)
		case t.Offset > end:
			return t.Name, fmt.Errorf("begins at offset %d, with a hole before it from %d on", t.Offset, end)
		case t.Bytes > int64(len(data))-end:
			return t.Name, fmt.Errorf("%d bytes from offset %d run past the end of the data (%d bytes)", t.Bytes, t.Offset, len(data))
		}
		end += t.Bytes
		t.Data = data[t.Offset:end:end]
	}
	if end != int64(len(data)) {
		return "", fmt.Errorf("%d bytes after the last tensor: want none", int64(len(data))-end)
	}
	return "", nil
}

// parseHeader reads the JSON of a header.
func parseHeader(text []byte) (h header, name string, err error) {
	if len(text) == 0 || text[0] != '{' {
		return h, "", errors.New("no safetensors file: its header is no JSON object")
	}
	seen := map[string]bool{}
	err = object(text, func(key string, d *json.Decoder) error {
		name = key
		if seen[key] {
			return errors.New("the name occurs twice")
		}
		seen[key] = true
		if key == "__metadata__" {
			return plainly(d.Decode(&h.meta))
		}
		if len(h.tensors) == maxTensors {
			return fmt.Errorf("want at most %d tensors", maxTensors)
		}
		t, err := readTensor(key, d)
		h.tensors = append(h.tensors, t)
		return err
	})
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		name = ""
	}
	return h, name, err
}

// object calls f for every key of a JSON object, with the decoder before the key's value, and makes
// sure that nothing but white space follows it.
func object(text []byte, f func(key string, d *json.Decoder) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	t, err := d.Token()
	if err == nil && t != json.Delim('{') {
		err = errors.New("want a JSON object")
	}
	for err == nil && d.More() {
		if t, err = d.Token(); err == nil {
			key, _ := t.(string) // the decoder lets no other key pass
			err = f(key, d)
		}
	}
	if err == nil {
		_, err = d.Token()
	}
	if err == nil {
		if rest := bytes.TrimLeft(text[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
			err = fmt.Errorf("%d bytes after the JSON object: want none but white space", len(rest))
		}
	}
	return err
}

// plainly says without words of Go that JSON holds something else than is wanted.
func plainly(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return fmt.Errorf("found a JSON %s where it cannot be", e.Value)
		}
		return fmt.Errorf("found a JSON %s under %s, where it cannot be", e.Value, quoted(e.Field))
	}
	return err
}

// readTensor reads a tensor's description.
func readTensor(name string, d *json.Decoder) (Tensor, error) {
	var v struct {
		DType   DType    `json:"dtype"`
		Shape   []uint64 `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	t := Tensor{Name: name}
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return t, plainly(err)
	}
	shape, offsets := v.Shape, v.Offsets
	switch {
	case v.DType.Size() == 0:
		return t, fmt.Errorf("want a dtype that is known, found %s", quoted(string(v.DType)))
	case shape == nil || len(shape) > maxDims:
		return t, fmt.Errorf("want a shape of at most %d dimensions, found %d", maxDims, len(shape))
	case len(offsets) != 2:
		return t, fmt.Errorf("want 2 data_offsets, found %d", len(offsets))
	case offsets[0] > offsets[1] || offsets[1] > math.MaxInt64:
		return t, fmt.Errorf("want data_offsets in order, found %d and %d", offsets[0], offsets[1])
	}
	t.DType, t.Shape = v.DType, make([]int, len(shape))
	bytes := uint64(t.DType.Size())
	for i, n := range shape {
		hi, product := bits.Mul64(bytes, n)
		if hi != 0 || product > math.MaxInt64 || n > math.MaxInt {
			return t, fmt.Errorf("no tensor has the shape %v", shape)
		}
		bytes, t.Shape[i] = product, int(n)
	}
	if bytes != offsets[1]-offsets[0] {
		return t, fmt.Errorf("%s %v takes %d bytes, but data_offsets span %d", t.DType, shape, bytes, offsets[1]-offsets[0])
	}
	t.Offset, t.Bytes = int64(offsets[0]), int64(bytes)
	return t, nil
}
