//go:build !js && !plan9 && !wasip1

package main

import (
	"os/signal"
	"syscall"
)

// ignoreBrokenPipes makes a write to a pipe that nobody reads an error like others, which ends the
// command quietly.
func ignoreBrokenPipes() { signal.Ignore(syscall.SIGPIPE) }
