package page_test

import (
	"io"
	"log"

	"github.com/goinfer/goinfer/study/page"
)

func Example() {
	p := page.New("Speed by context", "How decoding slows down as the cache grows.")
	p.Section("Measured", page.Plot{
		Title: "Tokens per second", X: page.Axis{Label: "context", Unit: "tokens", Log: true},
		Y:      page.Axis{Label: "speed", Unit: "tokens/s", Zero: true},
		Series: []page.Series{{Name: "q4_0", Points: []page.Point{{X: 512, Y: 90}, {X: 4096, Y: 61}}}},
	}.HTML())
	p.Foot = "goinfer bench -d 512,4096"
	if err := p.Render(io.Discard); err != nil {
		log.Fatal(err)
	}
	// Output:
}
