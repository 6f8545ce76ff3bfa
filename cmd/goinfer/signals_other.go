//go:build js || plan9 || wasip1

package main

// ignoreBrokenPipes does nothing where there is no such signal.
func ignoreBrokenPipes() {}
