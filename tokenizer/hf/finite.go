package hf

import "bytes"

// FiniteJSON replaces Infinity, which Python writes although JSON has no such number, by one that
// is beyond a float64.
func FiniteJSON(data []byte) []byte {
	const word = "Infinity"
	if !bytes.Contains(data, []byte(word)) {
		return data
	}
	out := make([]byte, 0, len(data))
	inString := false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\' && i+1 < len(data):
			out = append(out, data[i])
			i++
		case data[i] == '"':
			inString = !inString
		case !inString && bytes.HasPrefix(data[i:], []byte(word)):
			out = append(out, Infinite...)
			i += len(word) - 1
			continue
		}
		out = append(out, data[i])
	}
	return out
}

// Infinite is the number in place of Infinity.
const Infinite = "1e999"
