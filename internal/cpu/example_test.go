package cpu_test

import (
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/internal/cpu"
)

func Example() {
	isa, err := cpu.ISA()
	if err != nil { // GOINFER_CPU names what this machine or build does not have
		fmt.Println(err)
		return
	}
	threads, _ := cpu.Threads()
	fmt.Println(slices.Contains(cpu.ISAs(), isa), threads >= 1)
	// Output: true true
}
