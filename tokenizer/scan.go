package tokenizer

import "unicode/utf8"

// A match is one alternative of a pattern: the end of what it matches in s at i, or -1. It sees
// nothing outside s, so the end of s is the end of the text, and what it matches is never empty.
type match func(s string, i int) int

// A stage cuts s into pieces from an offset on, which begins a piece, and appends their ends to
// dst. It appends one at least, and may stop after [stageChunk]: the last end is then less than
// len(s).
type stage func(dst []int, s string, from int) []int

// stageChunk is how many pieces are cut before they are used, so that memory does not grow with the
// text.
const stageChunk = 512

// runStages cuts piece by stages, one after the other, and hands on what the last of them makes.
// s.ends has a buffer for each stage from level on.
func (s *scratch) runStages(stages []stage, level int, piece string, first bool, next sink) {
	for len(s.ends) < level+len(stages) {
		s.ends = append(s.ends, nil)
	}
	for from := 0; from < len(piece); {
		ends := stages[0](s.ends[level][:0], piece, from)
		s.ends[level] = ends
		for _, end := range ends {
			if len(stages) > 1 {
				s.runStages(stages[1:], level+1, piece[from:end], first && from == 0, next)
			} else {
				next(s, piece[from:end], first && from == 0)
			}
			from = end
		}
	}
}

// first is the stage of a pattern: at every position the first of the alternatives that matches
// makes a piece; what is between two matches makes a piece too ("isolated" splitting).
func first(alternatives ...match) stage {
	return func(dst []int, s string, from int) []int {
		done := from // the end of the last piece
		for i := from; i < len(s); {
			end := -1
			for _, m := range alternatives {
				if end = m(s, i); end > i {
					break
				}
			}
			if end > i {
				if i > done {
					dst = append(dst, i)
				}
				dst = append(dst, end)
				if len(dst) >= stageChunk {
					return dst
				}
				i, done = end, end
				continue
			}
			if s[i] < utf8.RuneSelf {
				i++
			} else {
				_, n := utf8.DecodeRuneInString(s[i:])
				i += n
			}
		}
		if done < len(s) {
			dst = append(dst, len(s))
		}
		return dst
	}
}

// run is x+
func run(x set) match {
	return func(s string, i int) int { return orNone(i, x.skip(s, i)) }
}

// upTo is x{1,n}
func upTo(n int, x set) match {
	return func(s string, i int) int {
		end := i
		for range n {
			r, c, size := at(s, end)
			if size == 0 || !x.has(r, c) {
				break
			}
			end += size
		}
		return orNone(i, end)
	}
}

// exactly is x{n}
func exactly(n int, x set) match {
	return func(s string, i int) int {
		for range n {
			r, c, size := at(s, i)
			if size == 0 || !x.has(r, c) {
				return -1
			}
			i += size
		}
		return i
	}
}

// led is lead?x+
func led(lead, x set) match {
	return func(s string, i int) int {
		if r, c, n := at(s, i); n > 0 && lead.has(r, c) {
			if end := x.skip(s, i+n); end > i+n {
				return end
			}
		}
		return orNone(i, x.skip(s, i))
	}
}

// spaced is " ?x+"
func spaced(x set) match { return led(blank, x) }

// spacedTail is " ?x+tail*"
func spacedTail(x, tail set) match {
	word := spaced(x)
	return func(s string, i int) int {
		if end := word(s, i); end > i {
			return tail.skip(s, end)
		}
		return -1
	}
}

// spacedTail1 is " ?x+tail?"
func spacedTail1(x, tail set) match {
	word := spaced(x)
	return func(s string, i int) int {
		end := word(s, i)
		if end > i {
			if r, c, n := at(s, end); n > 0 && tail.has(r, c) {
				end += n
			}
		}
		return end
	}
}

func orNone(i, end int) int {
	if end > i {
		return end
	}
	return -1
}

var (
	blank      = set{ranges: chars(" ")}
	eol        = set{any: newline}
	whitespace = set{any: space}
)

// contraction is 's|'t|'re|'ve|'m|'ll|'d
func contraction(s string, i int) int { return contracted(s, i, 0) }

// contractionFold is the same in any case
func contractionFold(s string, i int) int { return contracted(s, i, 'a'-'A') }

func contracted(s string, i int, fold byte) int {
	if s[i] != '\'' || i+1 >= len(s) {
		return -1
	}
	switch a := s[i+1] | fold; a {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v', 'l':
		if i+2 < len(s) {
			if b := s[i+2] | fold; b == 'e' && a != 'l' || b == 'l' && a == 'l' {
				return i + 3
			}
		}
	}
	return -1
}

// lines is \s*[\r\n]+, and as well \s*[\r\n]: both end after the last line break of a run of white
// space.
func lines(s string, i int) int {
	end := -1
	for {
		_, c, n := at(s, i)
		if n == 0 || c&space == 0 {
			return end
		}
		i += n
		if c&newline != 0 {
			end = i
		}
	}
}

// linesOnce is lines where the alternatives after it cut a run of white space in many pieces. After
// one of these there is no line break in the run, and to look for it again each time would take
// quadratic time.
func linesOnce(s string, i int) int {
	if r, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && classOf(r)&(space|newline) == space {
		return -1
	}
	return lines(s, i)
}

// gap is \s+(?!\S): a run of white space, without its last character where something follows.
func gap(s string, i int) int {
	end, last := i, i
	for {
		_, c, n := at(s, end)
		if n == 0 {
			return orNone(i, end)
		}
		if c&space == 0 {
			return orNone(i, last)
		}
		last, end = end, end+n
	}
}

// gapPowers is \s{512}(?!\S)|\s{256}(?!\S)| … |\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}: white space in
// powers of two (jais-2).
func gapPowers(s string, i int) int {
	var ends [514]int // ends[k] is the end of the first k characters
	ends[0] = i
	k, atEnd := 0, false
	for k < 513 {
		_, c, n := at(s, ends[k])
		if n == 0 || c&space == 0 {
			atEnd = n == 0
			break
		}
		ends[k+1] = ends[k] + n
		k++
	}
	if k == 0 {
		return -1
	}
	for n := 512; n >= 1; n /= 2 {
		if k > n || k == n && atEnd {
			return ends[n]
		}
	}
	return ends[1]
}

// camel is lead?up*low+c?|lead?up+low*c?, the split of CamelCase: low and up overlap (letters
// without case are in both), so the first alternative gives back what up* took too much of.
func camel(lead, up, low set, contractions bool) match {
	first := func(s string, i int) int { // up*low+
		last := -1 // the last character that both could take
		for {
			r, c, n := at(s, i)
			if n == 0 || !up.has(r, c) {
				if n > 0 && low.has(r, c) {
					return low.skip(s, i)
				}
				if last >= 0 {
					return low.skip(s, last)
				}
				return -1
			}
			if low.has(r, c) {
				last = i
			}
			i += n
		}
	}
	second := func(s string, i int) int { // up+low*
		if end := up.skip(s, i); end > i {
			return low.skip(s, end)
		}
		return -1
	}
	return func(s string, i int) int {
		r, c, n := at(s, i)
		end := -1
		for _, alternative := range [2]match{first, second} {
			if lead.has(r, c) {
				end = alternative(s, i+n)
			}
			if end < 0 {
				end = alternative(s, i)
			}
			if end >= 0 {
				break
			}
		}
		if contractions && end >= 0 && end < len(s) {
			if e := contractionFold(s, end); e > 0 {
				return e
			}
		}
		return end
	}
}

// asciiPunctWord is an ASCII punctuation mark or symbol and [A-Za-z]+
func asciiPunctWord(s string, i int) int {
	if s[i] >= utf8.RuneSelf || classOf(rune(s[i]))&(punct|symbol) == 0 {
		return -1
	}
	return orNone(i+1, asciiLetters.skip(s, i+1))
}

var asciiLetters = set{any: asciiUpper | asciiLower}

// phrase is lead?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+: words with single spaces between them
// (exaone-moe).
func phrase(lead set) match {
	words := func(s string, i int) int {
		end := -1
		for {
			j := i
			if end >= 0 && j < len(s) && s[j] == ' ' {
				j++
			}
			_, c, n := at(s, j)
			if n == 0 || c&letter == 0 {
				return end
			}
			marks := some(mark)
			i = marks.skip(s, j+n)
			end = i
		}
	}
	return func(s string, i int) int {
		if r, c, n := at(s, i); n > 0 && lead.has(r, c) {
			if end := words(s, i+n); end >= 0 {
				return end
			}
		}
		return words(s, i)
	}
}

// lineRuns is [^\n]+|[\n]+
func lineRuns(s string, i int) int {
	end := i + 1
	for end < len(s) && (s[end] == '\n') == (s[i] == '\n') {
		end++
	}
	return end
}

// sentinel is <sentinel:[0-9]+>
func sentinel(s string, i int) int {
	const head = "<sentinel:"
	if len(s)-i < len(head)+2 || s[i:i+len(head)] != head {
		return -1
	}
	j := i + len(head)
	for j < len(s) && '0' <= s[j] && s[j] <= '9' {
		j++
	}
	if j == i+len(head) || j == len(s) || s[j] != '>' {
		return -1
	}
	return j + 1
}

// imageToken is IMGIMG[A-I]{1,4}Z
func imageToken(s string, i int) int {
	const head = "IMGIMG"
	if len(s)-i < len(head)+2 || s[i:i+len(head)] != head {
		return -1
	}
	j := i + len(head)
	for j < len(s) && j < i+len(head)+4 && 'A' <= s[j] && s[j] <= 'I' {
		j++
	}
	if j == i+len(head) || j == len(s) || s[j] != 'Z' {
		return -1
	}
	return j + 1
}

// indent is [\t\n]|" {4}"|" {2}"
func indent(s string, i int) int {
	switch {
	case s[i] == '\t' || s[i] == '\n':
		return i + 1
	case len(s)-i >= 4 && s[i:i+4] == "    ":
		return i + 4
	case len(s)-i >= 2 && s[i:i+2] == "  ":
		return i + 2
	}
	return -1
}

// endSpace is the stage \s+$. As an alternative it would look at the same run of white space once
// per character.
func endSpace(dst []int, s string, from int) []int {
	start := len(s)
	for start > from {
		r, n := utf8.DecodeLastRuneInString(s[:start])
		if classOf(r)&space == 0 {
			break
		}
		start -= n
	}
	if start > from {
		dst = append(dst, start)
	}
	if start < len(s) {
		dst = append(dst, len(s))
	}
	return dst
}

// thousands is the stage that cuts runs of digits into groups of three from the right. Where else
// it cuts is up to the pattern.
type thousands struct {
	digits set
	before bool // cut in front of a run, too
	whole  bool // … but only if it consists of whole groups
	after  bool // cut after a run
	edge   bool // leave alone a run with no word boundary (\b) after it
}

func (t thousands) split(dst []int, s string, from int) []int {
	done := from
	add := func(i int) {
		if i > done {
			dst = append(dst, i)
			done = i
		}
	}
	for i := from; i < len(s); {
		r, c, n := at(s, i)
		if !t.digits.has(r, c) {
			i += n
			continue
		}
		count, end := 0, i
		for n > 0 && t.digits.has(r, c) {
			count++
			end += n
			r, c, n = at(s, end)
		}
		if t.edge && n > 0 && c&(letter|digit|joiner) != 0 {
			i = end
			continue
		}
		if t.before && (!t.whole || count%3 == 0) {
			add(i)
		}
		for left := count - 1; left > 0; left-- {
			_, _, n := at(s, i)
			i += n
			if left%3 == 0 {
				add(i)
			}
		}
		if i = end; t.after {
			add(i)
		}
	}
	add(len(s))
	return dst
}
