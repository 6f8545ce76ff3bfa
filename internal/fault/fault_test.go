package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKinds: kinds are found through everything that is put around them, and no text changes.
func TestKinds(t *testing.T) {
	base := errors.New("no key x")
	err := fmt.Errorf("layer 3: %w", Of(ErrUnsupported, base))
	require.EqualError(t, err, "layer 3: no key x")
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorIs(t, err, base)
	require.NotErrorIs(t, err, ErrFormat)
	require.NoError(t, Of(ErrFormat, nil))

	why := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	err = Cancelled(ctx)
	require.EqualError(t, err, "the user left")
	require.ErrorIs(t, err, ErrCancelled)
	require.ErrorIs(t, err, why)
}

func TestFile(t *testing.T) {
	base := errors.New("no key x")
	for _, c := range []struct {
		err        error
		text, path string
		format     bool
	}{
		{Bad("m.gguf", base), "m.gguf: no key x", "m.gguf", true},
		{In("m.gguf", base), "m.gguf: no key x", "m.gguf", false},
		{Bad("m.gguf", In("m.gguf", base)), "m.gguf: no key x", "m.gguf", true},
		{Bad("hf", Bad("hf/config.json", base)), "hf: hf/config.json: no key x", "hf", true},
		{Bad("m.gguf", fmt.Errorf("%w architecture %q", ErrUnsupported, "x")), `m.gguf: unsupported architecture "x"`, "m.gguf", false},
		{Bad("m.gguf", fmt.Errorf("weights 3 GiB: %w", ErrMemory)), "m.gguf: weights 3 GiB: not enough memory", "m.gguf", false},
		{Bad("m.gguf", Argument("Threads", "0 to 4", 5)), "m.gguf: Threads: want 0 to 4, found 5", "m.gguf", false},
		{Bad("m.gguf", fmt.Errorf("part 2 is missing: %w", fs.ErrNotExist)), "m.gguf: part 2 is missing: file does not exist", "m.gguf", false},
		{Bad("m.gguf", syscall.EIO), "m.gguf: " + syscall.EIO.Error(), "m.gguf", false},
		{Bad("m.gguf", context.Canceled), "m.gguf: context canceled", "m.gguf", false},
	} {
		require.EqualError(t, c.err, c.text)
		require.Equal(t, c.format, errors.Is(c.err, ErrFormat), c.text)
		var f *FileError
		require.ErrorAs(t, fmt.Errorf("open: %w", c.err), &f)
		require.Equal(t, c.path, f.Path)
	}
	require.NoError(t, In("m.gguf", nil))
	require.NoError(t, Bad("m.gguf", nil))

	path := filepath.Join(t.TempDir(), "absent")
	_, err := os.Open(path)
	for _, err := range []error{System(err), In(path, err), Bad(path, err)} {
		var f *FileError
		require.ErrorAs(t, err, &f)
		require.Equal(t, path, f.Path)
		require.Equal(t, path+": "+f.Err.Error(), err.Error())
		require.NotContains(t, f.Err.Error(), "open", "the name of the call says nothing to a user")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NotErrorIs(t, err, ErrFormat)
	}
	require.Equal(t, base, System(base))
}

func TestArguments(t *testing.T) {
	var a Arguments
	require.NoError(t, a.Err())
	a.AtLeast("MinKeep", 0, 0)
	a.Between("Threads", 4, 0, 4)
	a.Float("TopP", 1, 0, 1)
	require.NoError(t, a.Err())

	inf := float32(math.Inf(1))
	a.AtLeast("MinKeep", -1, 0)
	a.Between("Threads", 5, 0, 4)
	a.Float("TopP", 1.5, 0, 1)
	a.Float("Temperature", inf, -inf, inf)
	a.Float("DRYBase", float32(math.NaN()), 1, inf)
	var inner Arguments
	inner.Add("Chain[2]", "a stage", `"x"`)
	inner.Add("MinP", "0 to 1", 2)
	a.Join("Sampling", inner.Err())
	a.Join("Sampling", nil)
	err := a.Err()
	require.ErrorIs(t, err, ErrInvalid)
	require.EqualError(t, err, `MinKeep: want at least 0, found -1
Threads: want 0 to 4, found 5
TopP: want 0 to 1, found 1.5
Temperature: want a finite number, found +Inf
DRYBase: want a finite number, at least 1, found NaN
Sampling.Chain[2]: want a stage, found "x"
Sampling.MinP: want 0 to 1, found 2`)

	list := WrongArguments(Bad("m.gguf", fmt.Errorf("opening: %w", err)))
	require.Len(t, list, 7)
	require.Equal(t, &ArgumentError{"Threads", "0 to 4", "5"}, list[1])
	require.Equal(t, "Sampling.Chain[2]", list[5].Field)
	require.Equal(t, "Sampling.Chain", list[5].Base())
	require.Nil(t, WrongArguments(nil))
	require.Nil(t, WrongArguments(errors.New("x")))
	require.Nil(t, WrongArguments(errors.Join(err, errors.New("x"))), "that is more than wrong arguments")
	require.Len(t, WrongArguments(Of(ErrInvalid, err)), 7)
	other := errors.New("x")
	require.Equal(t, other, Under("Sampling", other))
}

// TestPanic: a text has no stack in it, wherever the panic comes from.
func TestPanic(t *testing.T) {
	caught := func(f func()) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = Caught(v)
			}
		}()
		f()
		return nil
	}
	var none []int
	for _, c := range []struct {
		f    func()
		text string
	}{
		{func() { panic("boom") }, "panic: boom"},
		{func() { panic("two\nlines") }, "panic: two"},
		{func() { panic(errors.New("boom")) }, "panic: boom"},
		{func() { _ = none[3] }, "panic: runtime error: index out of range [3] with length 0"},
		{func() { panic(elsewhere{}) }, "panic: far away"},
	} {
		err := caught(c.f)
		require.EqualError(t, err, c.text)
		var p *PanicError
		require.ErrorAs(t, err, &p)
		require.Contains(t, string(p.Stack), "goroutine ")
	}
	var r runtime.Error
	require.ErrorAs(t, caught(func() { _ = none[3] }), &r)
}

// elsewhere is a panic of another goroutine.
type elsewhere struct{}

func (elsewhere) Panicked() (any, []byte) { return "far away", []byte("goroutine 7") }
