package hub

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
)

// registry is the server that an Ollama name is of.
func (c *Client) registry(n Name) string {
	if n.Host != "" && n.Host != ollamaHost {
		return "https://" + n.Host
	}
	return c.Registry
}

// planOllama asks Ollama's registry for the layers of a model: a manifest of the Docker image
// format, whose layers are named by the SHA-256 of their bytes.
func (c *Client) planOllama(ctx context.Context, n Name) (*Plan, error) {
	n.Tag = cmp.Or(n.Tag, "latest")
	base := c.registry(n) + "/v2/" + n.Owner + "/" + n.Repo
	q := request{url: base + "/manifests/" + n.Tag, header: http.Header{"Accept": {"application/vnd.docker.distribution.manifest.v2+json"}}}
	data, _, err := c.fetchSmall(ctx, n, q, maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(data)
	if err != nil {
		return nil, fault.Bad(remote.Shown(q.url), err)
	}
	p := &Plan{Name: n, ollama: m, raw: data}
	seen := map[string]bool{}
	for _, l := range append(append([]layer{}, m.Layers...), m.Config) {
		if l.Digest == "" || seen[l.Digest] {
			continue
		}
		seen[l.Digest] = true
		hex := digestOf.FindStringSubmatch(l.Digest)[1]
		f := File{Name: "sha256-" + hex, Size: l.Size, Hash: hex, url: base + "/blobs/sha256:" + hex, mediaType: l.MediaType}
		f.dest = filepath.Join(c.Stores.Own, "blobs", f.Name)
		f.lock = f.dest + ".lock"
		f.Have = present(f.dest)
		if err := p.add(f); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// finishOllama writes the manifest when all its layers are there.
func (c *Client) finishOllama(p *Plan) error {
	file := manifestPath(c.Stores.Own, p.Name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fault.System(err)
	}
	return disk.Write(file, func(w io.Writer) error {
		_, err := w.Write(p.raw)
		return err
	})
}
