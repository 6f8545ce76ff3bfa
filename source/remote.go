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
)

// maxRemoteParts bounds the files of a model on a server, which are asked for one after the other.
const maxRemoteParts = 512

// address is the source of a file on a web server.
func address(name string) (*Source, error) {
	url, err := remote.Address(name)
	if err != nil {
		return nil, err
	}
	name = remote.Shown(url)
	if strings.HasSuffix(name, ".json") {
		return RemoteConfig(name, func(ctx context.Context) ([]byte, error) { return fetchConfig(ctx, name, url) }), nil
	}
	return Remote(name, func(ctx context.Context) (*gguf.File, error) { return fetchHeader(ctx, name, url) }), nil
}

// fetchHeader reads the header of a model on a web server. Errors call it name.
func fetchHeader(ctx context.Context, name, url string) (*gguf.File, error) {
	var read, size int64
	parts := []*remote.File{}
	f, err := gguf.OpenHeader(name, func(part string) (io.ReaderAt, int64, error) {
		if len(parts) >= maxRemoteParts {
			return nil, 0, fmt.Errorf("%s: more than %d files of one model", name, maxRemoteParts)
		}
		f, err := remote.Open(ctx, remote.Sibling(url, path.Base(part)))
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
func fetchConfig(ctx context.Context, name, url string) ([]byte, error) {
	f, err := remote.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if f.Size() > hf.MaxConfig {
		return nil, fault.In(name, fmt.Errorf("%d bytes: want at most %d", f.Size(), hf.MaxConfig))
	}
	return f.Front(f.Size())
}
