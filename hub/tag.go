package hub

import (
	"fmt"
	"sync"
)

// sameTag checks that all pieces of a file have one entity tag.
type sameTag struct {
	mu    sync.Mutex
	first string
}

func (s *sameTag) check(tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == "" {
		s.first = tag
	}
	if tag != s.first && tag != "" {
		return fmt.Errorf("%w between two of its parts", errChanged)
	}
	return nil
}
