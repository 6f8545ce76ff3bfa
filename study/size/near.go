package size

import (
	"cmp"
	"github.com/goinfer/goinfer/internal/fault"
	"slices"
	"strings"
)

// aliases are further names under which models are spoken of.
var aliases = map[string]string{
	"phi-3": "phi-3-mini", "phi-3-mini-4k": "phi-3-mini", "phi-3.5": "phi-3.5-moe", "deepseek-r1": "deepseek-v3", "deepseek-671b": "deepseek-v3", "llama-3-405b": "llama-3.1-405b", "llama-405b": "llama-3.1-405b",
	"llama-3.3-70b": "llama-3.1-70b", "mixtral": "mixtral-8x7b", "mixtral-8x7b-v0.1": "mixtral-8x7b", "tinyllama": "tinyllama-1.1b", "llama2-7b": "llama-2-7b", "llama2-70b": "llama-2-70b",
	"llama3-8b": "llama-3-8b", "llama3-70b": "llama-3-70b", "mistral-7b-v0.1": "mistral-7b",
}

// resolve is the name in the table that another name stands for, in small letters.
func resolve(name string) string {
	name = strings.ToLower(name)
	return cmp.Or(aliases[name], name)
}

// mostNear bounds the names that are offered.
const mostNear = 5

// NearNames lists the names that are most like one that there is not: those that it is a part of,
// or that are a few letters away.
func NearNames(name string) []string {
	name = strings.ToLower(name)
	if len(name) > 64 {
		return nil
	}
	type near struct {
		name string
		far  int
	}
	var list []near
	for _, n := range ShapeNames() {
		far := fault.Distance(joined(name), joined(n))
		if len(name) > 2 && strings.Contains(joined(n), joined(name)) {
			far = min(far, 2)
		}
		if far <= max(2, len(name)/4) {
			list = append(list, near{n, far})
		}
	}
	slices.SortStableFunc(list, func(a, b near) int { return a.far - b.far })
	names := make([]string, 0, mostNear)
	for _, n := range list[:min(len(list), mostNear)] {
		names = append(names, n.name)
	}
	return names
}

// joined leaves out what separates the parts of a name.
func joined(s string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(s)
}
