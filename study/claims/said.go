package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Bounds of a file of statements.
const (
	mostBytes      = 1 << 20
	mostStatements = 1000
	mostText       = 2000 // bytes of a text
)

// fileOf is the form of a file of statements.
type fileOf struct {
	Title      string     `json:"title"`
	Statements []fileItem `json:"statements"`
}

type fileItem struct {
	Text    string   `json:"text"`
	Row     string   `json:"row"`
	Figure  *float64 `json:"figure"`
	Count   *float64 `json:"count"`
	AtLeast *float64 `json:"at_least"`
	AtMost  *float64 `json:"at_most"`
	Linear  bool     `json:"linear"`
}

// ReadReported reads a file of statements, somebody's article as rows and figures:
//
//	{"title": "My article", "statements": [
//	  {"text": "Llama 2 7B has seven billion parameters.", "row": "parameters/llama-2-7b", "figure": 7},
//	  {"text": "Four bits shrink a model by three or more.", "row": "shrinks/q4_0", "at_least": 3}
//	]}
//
// A statement has one of figure, count, linear, and at_least or at_most or both; figures are in the unit that the row is shown in, shares as parts of 1.
func ReadReported(r io.Reader, name string) (title string, rows Reported, err error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > mostBytes {
		return "", nil, fmt.Errorf("%s: want at most %d bytes of statements", name, mostBytes)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	var f fileOf
	if err := d.Decode(&f); err != nil {
		return "", nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.More() {
		return "", nil, fmt.Errorf("%s: want one JSON object, found more behind it", name)
	}
	if n := len(f.Statements); n < 1 || n > mostStatements {
		return "", nil, fmt.Errorf("%s: want 1 to %d statements, found %d", name, mostStatements, n)
	}
	rows = Reported{}
	for i, s := range f.Statements {
		row, err := s.row(i + 1)
		switch {
		case err != nil:
			return "", nil, fmt.Errorf("%s: statement %d: %w", name, i+1, err)
		case len(s.Text) > mostText || len(f.Title) > mostText:
			return "", nil, fmt.Errorf("%s: statement %d: want texts of at most %d bytes", name, i+1, mostText)
		}
		if _, twice := rows[s.Row]; twice {
			return "", nil, fmt.Errorf("%s: statement %d: the row %q has a statement already", name, i+1, s.Row)
		}
		rows[s.Row] = row
	}
	return f.Title, rows, nil
}

// row checks a statement.
func (s *fileItem) row(id int) (Row, error) {
	r := Row{Key: s.Row, Statements: []int{id}, Text: s.Text}
	if err := Known(s.Row); err != nil {
		return r, err
	}
	n := 0
	for _, v := range []*float64{s.Figure, s.Count, s.AtLeast, s.AtMost} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			return r, errors.New("want finite numbers")
		}
	}
	if s.Figure != nil {
		if *s.Figure <= 0 {
			return r, fmt.Errorf("figure: want a number above 0, found %g", *s.Figure)
		}
		r.Limit, n = figure(*s.Figure), n+1
	}
	if s.Count != nil {
		r.Limit, n = exactly(*s.Count), n+1
	}
	if s.Linear {
		r.Limit, n = isLinear(), n+1
	}
	if s.AtLeast != nil || s.AtMost != nil {
		low, high := math.Inf(-1), math.Inf(1)
		if s.AtLeast != nil {
			low = *s.AtLeast
		}
		if s.AtMost != nil {
			high = *s.AtMost
		}
		if low > high {
			return r, fmt.Errorf("want at_least no larger than at_most, found %g and %g", low, high)
		}
		r.Limit, n = between(low, high), n+1
	}
	if n != 1 {
		return r, fmt.Errorf("want one of figure, count, linear and a range (at_least, at_most), found %d of them", n)
	}
	return r, nil
}
