package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// numbers is a flag of several numbers: 1,2 or 1-8, 1-8+2, 128-1024*2. The first use of the flag
// replaces the default, others add to it.
type numbers struct {
	values []int
	set    bool
}

func (n *numbers) Type() string { return "numbers" }

func (n *numbers) String() string {
	parts := make([]string, len(n.values))
	for i, v := range n.values {
		parts[i] = strconv.Itoa(v)
	}
	return strings.Join(parts, ",")
}

// numberRange is first[-last[(+|*)step]].
var numberRange = regexp.MustCompile(`^(\d+)(?:-(\d+)(?:([+*])(\d+))?)?$`)

// maxNumbers bounds the numbers that a range may come to.
const maxNumbers = 1000

func (n *numbers) Set(s string) error {
	var values []int
	for part := range strings.SplitSeq(s, ",") {
		m := numberRange.FindStringSubmatch(part)
		if m == nil {
			return fmt.Errorf("want numbers or ranges, such as 1,2 or 1-8 or 1-8+2 or 128-1024*2, found %q", shorten(s, 40))
		}
		first, err := smallNumber(m[1])
		if err != nil {
			return err
		}
		last, step := first, 1
		if m[2] != "" {
			if last, err = smallNumber(m[2]); err != nil {
				return err
			}
		}
		if m[4] != "" {
			if step, err = smallNumber(m[4]); err != nil {
				return err
			}
		}
		next := func(v int) int {
			if m[3] == "*" {
				return v * step
			}
			return v + step
		}
		switch {
		case last < first:
			return fmt.Errorf("the range %q ends before it begins", part)
		case last > first && next(first) <= first:
			return fmt.Errorf("the range %q never ends", part)
		}
		for v := first; v <= last; v = next(v) {
			if values = append(values, v); len(values) > maxNumbers {
				return fmt.Errorf("want at most %d numbers, found more in %q", maxNumbers, shorten(s, 40))
			}
			if last == first {
				break
			}
		}
	}
	replaceOrAdd(&n.values, &n.set, values)
	return nil
}

// smallNumber reads a number that can be multiplied with another.
func smallNumber(s string) (int, error) {
	v, err := strconv.ParseInt(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("the number %s is too large", shorten(s, 40))
	}
	return int(v), nil
}

// replaceOrAdd gives a flag values: the first time they replace the default.
func replaceOrAdd[T any](to *[]T, set *bool, values []T) {
	if !*set {
		*to = nil
	}
	*to, *set = append(*to, values...), true
}

// pairs is a flag of pairs of numbers, one for each time that it is used.
type pairs [][2]int

func (p *pairs) Type() string { return "pair" }

func (p *pairs) String() string {
	parts := make([]string, len(*p))
	for i, v := range *p {
		parts[i] = fmt.Sprintf("%d,%d", v[0], v[1])
	}
	return strings.Join(parts, " ")
}

func (p *pairs) Set(s string) error {
	a, b, _ := strings.Cut(s, ",")
	x, err1 := strconv.ParseUint(a, 10, 31)
	y, err2 := strconv.ParseUint(b, 10, 31)
	if err1 != nil || err2 != nil || x+y == 0 {
		return fmt.Errorf("want two numbers, such as 512,128, found %q", shorten(s, 40))
	}
	*p = append(*p, [2]int{int(x), int(y)})
	return nil
}

// cacheTypes is a flag of several formats of the cache.
type cacheTypes struct {
	values []cacheType
	set    bool
}

func (c *cacheTypes) Type() string { return "types" }

func (c *cacheTypes) String() string {
	parts := make([]string, len(c.values))
	for i := range c.values {
		parts[i] = c.values[i].String()
	}
	return strings.Join(parts, ",")
}

func (c *cacheTypes) Set(s string) error {
	var values []cacheType
	for part := range strings.SplitSeq(s, ",") {
		var t cacheType
		if err := t.Set(part); err != nil {
			return err
		}
		values = append(values, t)
	}
	replaceOrAdd(&c.values, &c.set, values)
	return nil
}

// benchFormat is a flag of one of benchFormats.
type benchFormat string

var benchFormats = []string{"md", "csv", "json", "jsonl", "benchstat"}

func (f *benchFormat) Type() string   { return "format" }
func (f *benchFormat) String() string { return string(*f) }

func (f *benchFormat) Set(s string) error {
	if !slices.Contains(benchFormats, s) {
		return fmt.Errorf("want one of %s, found %q", strings.Join(benchFormats, ", "), shorten(s, 40))
	}
	*f = benchFormat(s)
	return nil
}
