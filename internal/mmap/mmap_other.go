//go:build !(darwin || linux || freebsd || netbsd || openbsd || windows)

package mmap

import (
	"errors"
	"os"
)

func mapFile(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) error { return nil }

func lock([]byte) error { return errors.ErrUnsupported }
