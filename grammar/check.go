package grammar

import "github.com/goinfer/goinfer/sample"

// Grammar and Matcher are what the engine sees of a constraint.
type (
	Grammar = sample.Grammar
	Matcher = sample.Matcher
)

// Check reads a text byte by byte. It returns how many bytes may stand there, and whether all of
// the text may and is complete.
func (c *Constraint) Check(text string) (n int, complete bool) {
	if c.start == nil { // it names tokens, which no bytes spell
		return 0, false
	}
	defer c.lock()()
	at := c.start()
	var k keys
	for i := range len(text) {
		next, ok := at.Step(text[i])
		if !ok || c.repeats && !c.read(&k, at, []byte(text[i:i+1])) {
			return i, false
		}
		at = next
	}
	return len(text), at.Done()
}
