// Package gbnf reads grammars in the notation of llama.cpp, GBNF, and walks texts of them.
//
//	root  ::= "yes" | "no" | list
//	list  ::= "[" [0-9]+ ("," [0-9]+)* "]"   # characters, classes, * + ? {m,n}, groups
//	think ::= <think> !<[1]>{0,100} </think> # tokens by name or id, and all others
//
// [Parse] checks a grammar: rules that are used exist, none begins with itself, and root has texts.
// [Machine] walks it, at once along all derivations: its states hold a graph of what waits for the
// end of a rule (Tomita 1985; Scott and Johnstone 2010, doi:10.1016/j.entcs.2010.08.041), so that
// an ambiguous grammar costs no more than the square of its size for each character.
package gbnf
