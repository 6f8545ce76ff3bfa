// Package regex keeps sets of texts that regular expressions describe, and reads texts of them one
// code point at a time.
//
// A [Pattern] is parsed from the syntax of Go's package regexp ([ParseRE2]) or of ECMA-262
// ([ParseECMA]). A [Space] makes languages of patterns, words and lengths, and combines them:
// union, intersection and complement are exact and cost nothing by themselves. The automaton of a
// language, [Space.DFA], is made a state at a time as texts are read.
//
//	s := regex.NewSpace()
//	p, err := regex.ParseECMA(`^[a-z]+$`)
//	l := s.And(s.Pattern(regex.Search(p)), s.Length(0, 20), s.Not(s.Words("admin")))
//	st := s.DFA(l).Start
//	st = st.Step(st.DFA.Class('a'))
//
// The states are derivatives of the formula (Brzozowski 1964, doi:10.1145/321239.321249; Owens,
// Reppy and Turon 2009, doi:10.1017/S0956796808007090): what may follow after a code point.
// Lookahead is an intersection with what follows. Of assertions on what stands before (^, \b) a
// state remembers the kind of the last code point.
package regex
