package goinfer

import (
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// validate refuses options that cannot be meant, each by itself.
func (o *Options) validate() error {
	var a fault.Arguments
	a.AtLeast("Context", o.Context, 0)
	a.Between("Threads", o.Threads, 0, MaxThreads)
	a.AtLeast("Batch", o.Batch, 0)
	cacheType(&a, "CacheK", o.CacheK)
	cacheType(&a, "CacheV", o.CacheV)
	if o.CacheBytes < 0 {
		a.Add("CacheBytes", "at least 0", o.CacheBytes)
	}
	a.AtLeast("Running", o.Running, 0)
	a.AtLeast("Waiting", o.Waiting, 0)
	return a.Err()
}

// cacheType refuses a format that the cache does not keep.
func cacheType(a *fault.Arguments, field string, t CacheType) {
	if slices.Contains(CacheTypes(), t) {
		return
	}
	var names []string
	for _, t := range CacheTypes() {
		names = append(names, t.String())
	}
	a.Add(field, "one of "+strings.Join(names, ", "), t)
}
