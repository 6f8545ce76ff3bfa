package regex

import (
	"fmt"
	"regexp/syntax"
	"unicode"
)

type op uint8

const (
	opEmpty op = iota
	opSet
	opCat
	opAlt
	opRepeat
	opBegin     // the beginning of the text
	opEnd       // its end
	opBeginLine // the beginning, or a line break before
	opEndLine   // the end, or a line break next
	opBoundary  // of a word; neg: not one
	opLook      // what follows matches subs[0]; neg: it does not
	opFail
)

// A Pattern is a parsed regular expression.
type Pattern struct {
	op       op
	set      Set
	subs     []*Pattern
	min, max int // of opRepeat; max is -1 without limit
	neg      bool

	// What settle derives.
	settled bool
	least   int  // no text is shorter, in code points; at most mostLeast
	pure    bool // no assertions and no empty sets
	asserts bool // an assertion that looks at what stands before
}

// settle fills in what is derived. Patterns that were parsed are settled, so that goroutines may
// share them.
func (p *Pattern) settle() *Pattern {
	if p.settled {
		return p
	}
	p.settled, p.pure = true, true
	for _, s := range p.subs {
		s.settle()
		p.pure, p.asserts = p.pure && s.pure, p.asserts || s.asserts
	}
	switch p.op {
	case opSet:
		p.least = 1
		p.pure = len(p.set) > 0
	case opFail:
		p.least, p.pure = mostLeast, false
	case opLook:
		p.pure = false
	case opBegin, opEnd, opBeginLine, opEndLine, opBoundary:
		p.pure, p.asserts = false, true
	case opCat:
		for _, s := range p.subs {
			p.least += s.least
		}
	case opAlt:
		p.least = mostLeast
		for _, s := range p.subs {
			p.least = min(p.least, s.least)
		}
	case opRepeat:
		p.least = min(p.min, mostLeast) * p.subs[0].least
	}
	p.least = min(p.least, mostLeast)
	return p
}

// maxPattern bounds the number of nodes of a pattern, maxRepeat the counts of its repetitions.
const (
	maxPattern = 100_000
	maxRepeat  = 100_000
)

// ParseRE2 parses a pattern of the syntax that package regexp knows.
func ParseRE2(pattern string) (*Pattern, error) {
	r, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %w", err)
	}
	nodes := 0
	p, err := fromRE2(r, &nodes)
	if err != nil {
		return nil, err
	}
	return p.settle(), nil
}

func fromRE2(r *syntax.Regexp, nodes *int) (*Pattern, error) {
	if *nodes++; *nodes > maxPattern {
		return nil, fmt.Errorf("regular expression: more than %d parts", maxPattern)
	}
	var subs []*Pattern
	for _, s := range r.Sub {
		p, err := fromRE2(s, nodes)
		if err != nil {
			return nil, err
		}
		subs = append(subs, p)
	}
	repeat := func(lo, hi int) *Pattern { return &Pattern{op: opRepeat, subs: subs, min: lo, max: hi} }
	switch r.Op {
	case syntax.OpNoMatch:
		return &Pattern{op: opFail}, nil
	case syntax.OpEmptyMatch:
		return &Pattern{op: opEmpty}, nil
	case syntax.OpLiteral:
		for _, c := range r.Rune {
			s := NewSet(Range{c, c})
			if r.Flags&syntax.FoldCase != 0 {
				s = s.fold()
			}
			subs = append(subs, &Pattern{op: opSet, set: s})
		}
		*nodes += len(subs)
		return cat(subs), nil
	case syntax.OpCharClass:
		var ranges []Range
		for i := 0; i < len(r.Rune); i += 2 {
			ranges = append(ranges, Range{r.Rune[i], r.Rune[i+1]})
		}
		return &Pattern{op: opSet, set: NewSet(ranges...)}, nil
	case syntax.OpAnyCharNotNL:
		return &Pattern{op: opSet, set: NewSet(Range{'\n', '\n'}).Complement()}, nil
	case syntax.OpAnyChar:
		return &Pattern{op: opSet, set: anySet}, nil
	case syntax.OpBeginLine:
		return &Pattern{op: opBeginLine}, nil
	case syntax.OpEndLine:
		return &Pattern{op: opEndLine}, nil
	case syntax.OpBeginText:
		return &Pattern{op: opBegin}, nil
	case syntax.OpEndText:
		return &Pattern{op: opEnd}, nil
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return &Pattern{op: opBoundary, neg: r.Op == syntax.OpNoWordBoundary}, nil
	case syntax.OpCapture:
		return subs[0], nil
	case syntax.OpStar:
		return repeat(0, -1), nil
	case syntax.OpPlus:
		return repeat(1, -1), nil
	case syntax.OpQuest:
		return repeat(0, 1), nil
	case syntax.OpRepeat:
		return repeat(r.Min, r.Max), nil
	case syntax.OpConcat:
		return cat(subs), nil
	case syntax.OpAlternate:
		return &Pattern{op: opAlt, subs: subs}, nil
	}
	return nil, fmt.Errorf("regular expression: unknown operator %v", r.Op)
}

func cat(subs []*Pattern) *Pattern {
	switch len(subs) {
	case 0:
		return &Pattern{op: opEmpty}
	case 1:
		return subs[0]
	}
	return &Pattern{op: opCat, subs: subs}
}

// alwaysNullable reports whether p matches the empty text wherever it stands.
func (p *Pattern) alwaysNullable() bool {
	switch p.op {
	case opEmpty:
		return true
	case opCat:
		for _, s := range p.subs {
			if !s.alwaysNullable() {
				return false
			}
		}
		return true
	case opAlt:
		for _, s := range p.subs {
			if s.alwaysNullable() {
				return true
			}
		}
	case opRepeat:
		return p.min == 0 || p.subs[0].alwaysNullable()
	}
	return false
}

// branches lists the alternatives of p, looking through alternations at its top.
func (p *Pattern) branches() []*Pattern {
	if p.op == opAlt {
		var out []*Pattern
		for _, s := range p.subs {
			out = append(out, s.branches()...)
		}
		return out
	}
	return []*Pattern{p}
}

// Search returns the pattern of whole texts in which p matches somewhere. Anchors at the ends of
// its alternatives are resolved here, which keeps the automaton small.
func Search(p *Pattern) *Pattern {
	anything := &Pattern{op: opRepeat, subs: []*Pattern{{op: opSet, set: anySet}}, max: -1}
	var out []*Pattern
	for _, b := range p.branches() {
		parts := []*Pattern{b}
		for len(parts) == 1 && parts[0].op == opCat {
			parts = append([]*Pattern(nil), parts[0].subs...)
		}
		// A group at either end may hold the anchor: (^a)b.
		for len(parts) > 0 && parts[0].op == opCat {
			parts = append(append([]*Pattern(nil), parts[0].subs...), parts[1:]...)
		}
		for len(parts) > 0 && parts[len(parts)-1].op == opCat {
			parts = append(parts[:len(parts)-1:len(parts)-1], parts[len(parts)-1].subs...)
		}
		begin, end := false, false
		for len(parts) > 0 && parts[0].op == opBegin {
			begin, parts = true, parts[1:]
		}
		for len(parts) > 0 && parts[len(parts)-1].op == opEnd {
			end, parts = true, parts[:len(parts)-1]
		}
		var whole []*Pattern
		if !begin {
			whole = append(whole, anything)
		}
		whole = append(whole, parts...)
		if !end {
			whole = append(whole, anything)
		}
		out = append(out, cat(whole))
	}
	if len(out) == 1 {
		return out[0].settle()
	}
	return (&Pattern{op: opAlt, subs: out}).settle()
}

// property returns the set of \p{name} or \p{name=value}.
func property(name, value string) (Set, bool) {
	if value != "" {
		switch name {
		case "Script", "sc", "Script_Extensions", "scx":
			t, ok := unicode.Scripts[value]
			if !ok {
				return nil, false
			}
			return tableSet(t), true
		case "General_Category", "gc":
			return property(value, "")
		}
		return nil, false
	}
	if long, ok := categories[name]; ok {
		name = long
	}
	switch name {
	case "Any":
		return anySet, true
	case "ASCII":
		return NewSet(Range{0, 127}), true
	case "Alphabetic", "Alpha":
		return tableSet(unicode.L).Union(tableSet(unicode.Nl)).Union(tableSet(unicode.Other_Alphabetic)), true
	case "Lowercase":
		return tableSet(unicode.Ll).Union(tableSet(unicode.Other_Lowercase)), true
	case "Uppercase":
		return tableSet(unicode.Lu).Union(tableSet(unicode.Other_Uppercase)), true
	case "LC":
		return tableSet(unicode.Lu).Union(tableSet(unicode.Ll)).Union(tableSet(unicode.Lt)), true
	}
	if t, ok := unicode.Categories[name]; ok {
		return tableSet(t), true
	}
	if t, ok := unicode.Properties[name]; ok {
		return tableSet(t), true
	}
	return nil, false
}

// categories are long names of general categories.
var categories = map[string]string{
	"Letter": "L", "Lowercase_Letter": "Ll", "Uppercase_Letter": "Lu", "Titlecase_Letter": "Lt", "Cased_Letter": "LC", "Modifier_Letter": "Lm",
	"Other_Letter": "Lo", "Mark": "M", "Combining_Mark": "M", "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc", "Enclosing_Mark": "Me", "Number": "N",
	"Decimal_Number": "Nd", "digit": "Nd", "Letter_Number": "Nl", "Other_Number": "No", "Symbol": "S", "Math_Symbol": "Sm", "Currency_Symbol": "Sc",
	"Modifier_Symbol": "Sk", "Other_Symbol": "So", "Punctuation": "P", "punct": "P", "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd",
	"Open_Punctuation": "Ps", "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi", "Final_Punctuation": "Pf", "Other_Punctuation": "Po",
	"Separator": "Z", "Space_Separator": "Zs", "Line_Separator": "Zl", "Paragraph_Separator": "Zp", "Other": "C", "Control": "Cc", "cntrl": "Cc", "Format": "Cf",
}
