package source

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
	"github.com/goinfer/goinfer/model/arch"
)

// maxRemoteParts bounds the files of a model on a server, which are asked for one after the other.
const maxRemoteParts = 512

// address is the source of a file on a web server.
func address(name string) (*Source, error) {
	url, err := remote.Address(name)
	if err != nil {
		return nil, err
	}
	s := &Source{kind: KindRemote, name: remote.Shown(url), url: url}
	if strings.HasSuffix(s.name, ".json") {
		s.kind = KindConfig
	}
	return s, nil
}

// fetch reads the header of a model on a web server.
func (s *Source) fetch(ctx context.Context) (*gguf.File, error) {
	var read, size int64
	parts := []*remote.File{}
	f, err := gguf.OpenHeader(s.name, func(part string) (io.ReaderAt, int64, error) {
		if len(parts) >= maxRemoteParts {
			return nil, 0, fmt.Errorf("%s: more than %d files of one model", s.name, maxRemoteParts)
		}
		f, err := remote.Open(ctx, remote.Sibling(s.url, path.Base(part)))
		if err != nil {
			return nil, 0, err
		}
		parts = append(parts, f)
		return f, f.Size(), nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		read, size = read+p.Fetched(), size+p.Size()
	}
	f.AddNote(fmt.Sprintf("%d of %d bytes were fetched for the header", read, size))
	return f, nil
}

// fetchConfig reads a config.json on a web server.
func (s *Source) fetchConfig(ctx context.Context) (*gguf.File, hf.Traits, error) {
	f, err := remote.Open(ctx, s.url)
	if err != nil {
		return nil, hf.Traits{}, err
	}
	if f.Size() > hf.MaxConfig {
		return nil, hf.Traits{}, fault.In(s.name, fmt.Errorf("%d bytes: want at most %d", f.Size(), hf.MaxConfig))
	}
	data, err := f.Front(f.Size())
	if err != nil {
		return nil, hf.Traits{}, err
	}
	return hf.ParseConfig(s.name, data, arch.Families())
}
