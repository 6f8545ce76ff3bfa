package gguf

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// raw makes files byte by byte, sound or not.
type raw []byte

func newRaw(version uint32, tensors, keys uint64) *raw {
	r := raw("GGUF")
	return r.u32(version).u64(tensors).u64(keys)
}

func (r *raw) u8(v byte) *raw       { *r = append(*r, v); return r }
func (r *raw) u16(v uint16) *raw    { *r = le.AppendUint16(*r, v); return r }
func (r *raw) u32(v uint32) *raw    { *r = le.AppendUint32(*r, v); return r }
func (r *raw) u64(v uint64) *raw    { *r = le.AppendUint64(*r, v); return r }
func (r *raw) kind(k Kind) *raw     { return r.u32(uint32(k)) }
func (r *raw) str(s string) *raw    { r.u64(uint64(len(s))); *r = append(*r, s...); return r }
func (r *raw) fill(n int, v byte)   { *r = append(*r, strings.Repeat(string([]byte{v}), n)...) }
func (r *raw) array(k Kind) *raw    { return r.kind(Array).kind(k) }
func (r *raw) align(n int) *raw     { r.fill((n-len(*r)%n)%n, 0); return r }
func (r *raw) key(k, s string) *raw { return r.str(k).kind(String).str(s) }

func (r *raw) tensor(name string, typ uint32, offset uint64, dims ...uint64) *raw {
	r.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		r.u64(d)
	}
	return r.u32(typ).u64(offset)
}

// everyKind is a small file with a value of each kind, arrays in arrays, and two tensors.
func everyKind(version uint32) []byte {
	r := newRaw(version, 2, 20)
	r.str("u8").kind(Uint8).u8(200)
	r.str("i8").kind(Int8).u8(0x9c)
	r.str("u16").kind(Uint16).u16(60000)
	r.str("i16").kind(Int16).u16(0x8000)
	r.str("u32").kind(Uint32).u32(4000000000)
	r.str("i32").kind(Int32).u32(0x80000000)
	r.str("f32").kind(Float32).u32(math.Float32bits(0.1))
	r.str("no").kind(Bool).u8(0)
	r.str("yes").kind(Bool).u8(1)
	r.key("text", "grüß Gott")
	r.key("empty", "")
	r.str("u64").kind(Uint64).u64(math.MaxUint64)
	r.str("i64").kind(Int64).u64(1 << 63)
	r.str("f64").kind(Float64).u64(math.Float64bits(math.Pi))
	r.str("strings").array(String).u64(3).str("a").str("").str("bc")
	r.str("ints").array(Int16).u64(2).u16(0xffff).u16(7)
	r.str("bools").array(Bool).u64(3).u8(1).u8(0).u8(1)
	r.str("bytes").array(Uint8).u64(3).u8(1).u8(2).u8(255)
	r.str("none").array(Float64).u64(0)
	// [[1 2] [] [[x]]]
	r.str("nested").array(Array).u64(3).kind(Uint8).u64(2).u8(1).u8(2).kind(String).u64(0).kind(Array).u64(1).kind(String).u64(1).str("x")
	r.tensor("a", 0, 0, 3, 2)
	r.tensor("b", 8, 32, 32)
	r.align(32)
	r.fill(24, 1)
	r.align(32)
	r.fill(34, 2)
	return *r
}

// fault opens data, which must fail, and checks that the error is one line that names the file.
func damaged(t *testing.T, data []byte) error {
	t.Helper()
	f, err := OpenBytes("some.gguf", data)
	require.Error(t, err)
	require.Nil(t, f)
	oneLine(t, err, "some.gguf")
	return err
}

func oneLine(t *testing.T, err error, path string) {
	t.Helper()
	require.True(t, strings.HasPrefix(err.Error(), path+": "), err)
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 400+len(path))
}
