package goinfer

import (
	"context"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/source"
)

// FileInfo is what a model file's header contains.
type FileInfo struct {
	Path     string       `json:"path"`
	Version  int          `json:"version"`
	Size     int64        `json:"size"` // bytes, all shards together
	Metadata []MetaValue  `json:"metadata"`
	Tensors  []TensorInfo `json:"tensors"`
}

// MetaValue is one entry of the metadata.
type MetaValue struct {
	Key  string `json:"key"`
	Type string `json:"type"` // such as "uint32" or "[string]"
	Len  int    `json:"len,omitempty"`
	// Value is a number, string or bool, or a slice of them, nested for arrays of arrays. Of an
	// array only the first MaxArray elements are given.
	Value any `json:"value"`
}

// TensorInfo is one tensor. Shape is in the order of the file, the fastest dimension first.
type TensorInfo struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shape  []int  `json:"shape"`
	Bytes  int64  `json:"bytes"`
	Offset int64  `json:"offset"` // in the file's data
	Shard  int    `json:"shard,omitempty"`
}

// Inspect reads the header of a GGUF file of any architecture, or what the folder of a checkpoint
// would be as one, and none of its weights. Arrays are cut to maxArray elements, less than 0
// meaning none is cut.
func Inspect(ctx context.Context, s *source.Source, maxArray int) (_ *FileInfo, err error) {
	defer fault.Guard(&err)()
	f, err := s.Header(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return describe(f, maxArray), nil
}

func describe(f *gguf.File, maxArray int) *FileInfo {
	info := &FileInfo{Path: f.Path(), Version: f.Version(), Size: f.Size()}
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		m := MetaValue{Key: key, Type: v.Kind().String(), Value: v.Any(maxArray)}
		if v.Kind() == gguf.Array {
			m.Len = v.Len()
			m.Type = "[" + v.ElemKind().String() + "]"
		}
		info.Metadata = append(info.Metadata, m)
	}
	for _, t := range f.Tensors() {
		info.Tensors = append(info.Tensors, TensorInfo{t.Name, t.Type.String(), t.Shape, t.Bytes, t.Offset, t.Shard})
	}
	return info
}
