package fault

// Distance is the number of bytes to insert, delete or replace to make one text the other
// (Levenshtein, 1966). Errors offer names that are near to one that does not exist. It takes a time
// proportional to the product of both lengths: callers bound those.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
