//go:build !linux

package grammar

import "time"

func processorTime() time.Duration { return time.Since(started) }
