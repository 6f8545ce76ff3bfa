package fault

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// errChanged is what is wrong with a file that became shorter while it was mapped.
var errChanged = errors.New("the file changed while it was used")

// mappings are the parts of memory that files are mapped to.
var mappings struct {
	sync.RWMutex
	all map[*Mapping]struct{}
}

// Mapping is a part of memory that a file is mapped to.
type Mapping struct {
	path string
	data []byte
}

// Map enters memory that the file at path is mapped to, until [Mapping.End]. Where the file then
// becomes shorter, to read what it lost is a fault of memory, which ends the process, or is a panic
// on a goroutine that [debug.SetPanicOnFault] or [Guard] was called on. [Caught] makes that panic
// an error about the file.
func Map(path string, data []byte) *Mapping {
	m := &Mapping{path, data}
	mappings.Lock()
	defer mappings.Unlock()
	if mappings.all == nil {
		mappings.all = map[*Mapping]struct{}{}
	}
	mappings.all[m] = struct{}{}
	return m
}

// End takes the memory out again, before it is given back. A nil Mapping has none.
func (m *Mapping) End() {
	if m == nil {
		return
	}
	mappings.Lock()
	defer mappings.Unlock()
	delete(mappings.all, m)
}

// changed is the error of a panic that is a fault of memory in a mapped file, nil for any other.
func changed(value any) error {
	f, ok := value.(interface {
		runtime.Error
		Addr() uintptr // see debug.SetPanicOnFault
	})
	if !ok {
		return nil
	}
	mappings.RLock()
	defer mappings.RUnlock()
	for m := range mappings.all {
		if from := uintptr(unsafe.Pointer(unsafe.SliceData(m.data))); f.Addr() >= from && f.Addr()-from < uintptr(len(m.data)) {
			return Bad(m.path, errChanged)
		}
	}
	return nil
}

// Guard makes errors of faults of memory in mapped files, on this goroutine and until what it
// returns is called, which is deferred by what reads such files. Other panics go on.
//
//	defer fault.Guard(&err)()
func Guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		v := recover()
		if v == nil {
			return
		}
		p := Caught(v)
		if !p.changed() {
			panic(v)
		}
		*err = p
	}
}
