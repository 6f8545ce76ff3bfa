package gguf

import (
	"fmt"
	"math"
)

// Kind is the type of a metadata value, numbered as in files.
type Kind uint32

// The kinds.
const (
	Uint8 Kind = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
	numKinds
)

var kinds = [numKinds]struct {
	name string
	size int // bytes, 0 where it varies
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2}, Uint32: {"uint32", 4}, Int32: {"int32", 4},
	Float32: {"float32", 4}, Bool: {"bool", 1}, String: {"string", 0}, Array: {"array", 0}, Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

// String is the kind's name, such as "uint32".
func (k Kind) String() string {
	if k >= numKinds {
		return fmt.Sprintf("kind(%d)", uint32(k))
	}
	return kinds[k].name
}

// Value is a metadata value: its bytes, checked, and decoded when asked for. It lives as long as
// its file.
type Value struct {
	kind, elem Kind
	n          int    // elements of an array, bytes of a string
	data       []byte // the value; of a string its bytes, of an array its elements
}

// Kind is the type of the value.
func (v Value) Kind() Kind { return v.kind }

// ElemKind is the type of an array's elements.
func (v Value) ElemKind() Kind { return v.elem }

// Len is the number of elements of an array, of bytes of a string, and 0 otherwise.
func (v Value) Len() int { return v.n }

// Uint returns a whole number that is not negative, of any integer kind.
func (v Value) Uint() (uint64, bool) {
	switch v.kind {
	case Uint8, Uint16, Uint32, Uint64:
		return v.raw(), true
	case Int8, Int16, Int32, Int64:
		n := v.signed()
		return uint64(n), n >= 0
	}
	return 0, false
}

// Int returns a whole number of any integer kind that fits.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case Uint8, Uint16, Uint32, Uint64:
		n := v.raw()
		return int64(n), n <= math.MaxInt64
	case Int8, Int16, Int32, Int64:
		return v.signed(), true
	}
	return 0, false
}

// Float returns a number of any kind.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case Float32:
		return float64(math.Float32frombits(uint32(v.raw()))), true
	case Float64:
		return math.Float64frombits(v.raw()), true
	case Uint64:
		return float64(v.raw()), true
	}
	n, ok := v.Int()
	return float64(n), ok
}

// Bool returns a truth value.
func (v Value) Bool() (bool, bool) { return v.kind == Bool && v.data[0] != 0, v.kind == Bool }

// Text returns a copy of a string.
func (v Value) Text() (string, bool) {
	if v.kind != String {
		return "", false
	}
	return string(v.data), true
}

func (v Value) raw() uint64 {
	switch len(v.data) {
	case 1:
		return uint64(v.data[0])
	case 2:
		return uint64(le.Uint16(v.data))
	case 4:
		return uint64(le.Uint32(v.data))
	}
	return le.Uint64(v.data)
}

func (v Value) signed() int64 {
	shift := 64 - 8*len(v.data)
	return int64(v.raw()<<shift) >> shift
}

// Each calls f with the elements of an array in order, until f returns false.
func (v Value) Each(f func(i int, e Value) bool) {
	if v.kind != Array {
		return
	}
	d := decoder{data: v.data, size: int64(len(v.data))}
	for i := range v.n {
		// The header has been checked: this cannot fail.
		e, err := d.value(v.elem, 0)
		if err != nil || !f(i, e) {
			return
		}
	}
}

// collect decodes an array by a function that refuses elements of other kinds, and perhaps some of
// these.
func collect[T any](v Value, decode func(Value) (T, bool)) ([]T, bool) {
	if v.kind != Array || v.elem == Bool || v.elem == String || v.elem == Array {
		return nil, false
	}
	out := make([]T, 0, v.n)
	v.Each(func(_ int, e Value) bool {
		x, ok := decode(e)
		if ok {
			out = append(out, x)
		}
		return ok
	})
	return out, len(out) == v.n
}

// Strings returns an array of strings. They are parts of one copy of the array.
func (v Value) Strings() ([]string, bool) {
	if v.kind != Array || v.elem != String {
		return nil, false
	}
	all, out := string(v.data), make([]string, 0, v.n)
	end := 0
	v.Each(func(_ int, e Value) bool {
		start := end + 8
		end = start + e.n
		out = append(out, all[start:end])
		return true
	})
	return out, true
}

// Ints returns an array of whole numbers of any integer kind.
func (v Value) Ints() ([]int64, bool) { return collect(v, Value.Int) }

// Floats returns an array of numbers of any kind.
func (v Value) Floats() ([]float64, bool) { return collect(v, Value.Float) }

// Bytes returns an array of bytes, signed or not.
func (v Value) Bytes() ([]byte, bool) {
	if v.kind != Array || v.elem != Uint8 && v.elem != Int8 {
		return nil, false
	}
	return append([]byte(nil), v.data...), true
}

// String writes the value for a message, on one line and shortened: "uint32 7".
func (v Value) String() string {
	switch v.kind {
	case Array:
		return fmt.Sprintf("an array of %d %ss", v.n, v.elem)
	case String:
		return fmt.Sprintf("the string %q", shorten(string(v.data[:min(v.n, 100)])))
	}
	return fmt.Sprintf("%s %v", v.kind, v.Any(0))
}

// Any returns the value as a Go value: a number, a string, a bool, or a slice of any, of which at
// most limit elements are given (less than 0 means all).
func (v Value) Any(limit int) any {
	switch v.kind {
	case Bool:
		b, _ := v.Bool()
		return b
	case String:
		return string(v.data)
	case Float32:
		// As float32, so that it prints as it was written.
		return math.Float32frombits(uint32(v.raw()))
	case Float64:
		f, _ := v.Float()
		return f
	case Array:
		n := v.n
		if limit >= 0 {
			n = min(n, limit)
		}
		out := make([]any, 0, n)
		v.Each(func(_ int, e Value) bool {
			if len(out) < n {
				out = append(out, e.Any(limit))
			}
			return len(out) < n
		})
		return out
	case Uint8, Uint16, Uint32, Uint64:
		return v.raw()
	}
	return v.signed()
}
