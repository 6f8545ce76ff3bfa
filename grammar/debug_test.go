package grammar

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDebugCase(t *testing.T) {
	names := strings.Split(os.Getenv("GRAMMAR_CASE"), ",")
	if names[0] == "" {
		t.Skip()
	}
	file := "maskbench.jsonl.gz"
	cases(t, file, func(c Case) {
		for _, n := range names {
			if c.Name != n {
				continue
			}
			con, err := Schema(c.Schema, Options{Whitespace: Flexible})
			if err != nil {
				fmt.Println(n, err)
				return
			}
			shown := 0
			for i, x := range c.Tests {
				at := con.start()
				ok := true
				s := Dumps(x.Data)
				j := 0
				for j = 0; j < len(s) && ok; j++ {
					at, ok = at.Step(s[j])
				}
				if ok && !at.Done() {
					ok = false
				}
				if ok != x.Valid && shown < 2 {
					shown++
					fmt.Printf("%s %d valid=%v at %d: ...%s >>>%s\n", n, i, x.Valid, j, s[max(0, j-120):j], s[j:min(len(s), j+40)])
				}
			}
		}
	})
}
