package gguf

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzOpen parses any bytes. What is refused is refused with a proper error; what is accepted can
// be walked to its ends, and what is written from it reads the same.
func FuzzOpen(f *testing.F) {
	f.Add(everyKind(2))
	f.Add(everyKind(3))
	// Small seeds: the fuzzer changes a byte here and there, and most bytes of a model are weights.
	aligned := newRaw(3, 3, 2).key("general.architecture", "llama")
	aligned.str("general.alignment").kind(Uint32).u32(8)
	aligned.tensor("blk.0.attn_q.weight", 2, 0, 32).tensor("norm", 0, 24, 2, 1).tensor("i", 24, 32, 3).align(8)
	aligned.fill(35, 3)
	f.Add([]byte(*aligned))
	f.Add([]byte(*newRaw(2, 0, 1).str("n").array(Array).u64(2).kind(Array).u64(1).kind(Bool).u64(2).u8(1).u8(0).kind(Float32).u64(1).u32(7)))
	f.Add([]byte(*newRaw(2, 0, 0)))
	f.Add([]byte(*newRaw(3, 0, 2).key("split.count", "1").key("split.no", "0")))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := OpenBytes("some.gguf", data)
		if err != nil {
			if file != nil || errors.Is(err, ErrFormat) == errors.Is(err, ErrUnsupported) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
				t.Fatalf("%v, %q", file, err)
			}
			return
		}
		w := NewWriter()
		for _, key := range file.Keys() {
			v, ok := file.Value(key)
			if !ok {
				t.Fatalf("no value of %q", key)
			}
			checkValue(t, v)
			if err := w.Set(key, v); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range file.Tensors() {
			same, ok := file.Tensor(x.Name)
			if !ok || same.Offset != x.Offset {
				t.Fatalf("%v is not found", x)
			}
			b := file.Data(&x)
			if len(b) != int(x.Bytes) || len(b) != x.Type.RowBytes(x.Shape[0])*elements(x.Shape[1:]) {
				t.Fatalf("%v has %d bytes", x, len(b))
			}
			if err := w.Add(x.Name, x.Type, x.Shape, b); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if _, err := w.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		again, err := OpenBytes("again.gguf", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Keys()) != len(file.Keys()) || len(again.Tensors()) != len(file.Tensors()) {
			t.Fatal("something is lost")
		}
		for i, key := range file.Keys() {
			a, _ := file.Value(key)
			b, _ := again.Value(key)
			if again.Keys()[i] != key || a.kind != b.kind || a.elem != b.elem || a.n != b.n || !bytes.Equal(a.data, b.data) {
				t.Fatalf("%q has changed: %v, %v", key, a, b)
			}
		}
		for i, x := range file.Tensors() {
			y := again.Tensors()[i]
			if x.Name != y.Name || x.Type != y.Type || !bytes.Equal(file.Data(&x), again.Data(&y)) {
				t.Fatalf("%v has become %v", x, y)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// checkValue calls every method of a value and checks that they agree.
func checkValue(t *testing.T, v Value) {
	u, isUint := v.Uint()
	i, isInt := v.Int()
	x, isFloat := v.Float()
	_, isBool := v.Bool()
	s, isText := v.Text()
	strs, isStrings := v.Strings()
	ints, isInts := v.Ints()
	floats, isFloats := v.Floats()
	v.Bytes()
	if isUint && isInt && u != uint64(i) || isUint && !isFloat || isText && len(s) != v.Len() {
		t.Fatalf("%v is %d, %d, %v, %q", v, u, i, x, s)
	}
	if isStrings && len(strs) != v.Len() || isInts && len(ints) != v.Len() || isFloats && len(floats) != v.Len() || isInts && !isFloats && v.ElemKind() != Uint64 {
		t.Fatalf("%v has %d, %d, %d elements", v, len(strs), len(ints), len(floats))
	}
	if strings.Contains(v.String(), "\n") || len(v.String()) > 400 {
		t.Fatalf("a value is shown as %q", v.String())
	}
	all := v.Any(-1)
	if v.Kind() != Array {
		if !isFloat && !isBool && !isText {
			t.Fatalf("%v is nothing", v)
		}
		return
	}
	if n := len(all.([]any)); n != v.Len() {
		t.Fatalf("%v has %d elements", v, n)
	}
	if n := len(v.Any(3).([]any)); n != min(3, v.Len()) {
		t.Fatalf("%v cut to 3 has %d elements", v, n)
	}
	n := 0
	v.Each(func(i int, e Value) bool {
		if e.Kind() != v.ElemKind() || i != n || isStrings && strs[i] != string(e.data) {
			t.Fatalf("%v: element %d is %v", v, i, e)
		}
		n++
		if e.Kind() == Array {
			checkValue(t, e)
		}
		return true
	})
	if n != v.Len() {
		t.Fatalf("%v has %d elements", v, n)
	}
}
