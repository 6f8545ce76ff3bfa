package gguf

import (
	"fmt"
	"strconv"
)

// Shards lists the files of the model that the file at path is one of, by their names: path alone,
// unless its name says that there are several.
func Shards(path string) []string {
	parts := shardName.FindStringSubmatch(path)
	if parts == nil {
		return []string{path}
	}
	i, _ := strconv.Atoi(parts[2]) // five digits each
	n, _ := strconv.Atoi(parts[3])
	if i < 1 || i > n { // no model has a file of that number
		return []string{path}
	}
	paths := make([]string, n)
	for i := range paths {
		paths[i] = shardPath(parts[1], i, n)
	}
	return paths
}

// shardPath is the path of file i of a model of n files, whose paths begin with prefix.
func shardPath(prefix string, i, n int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, i+1, n)
}
