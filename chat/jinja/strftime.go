package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftime prints the time as C's strftime does in the C locale.
func (st *state) strftime(format *text) *text {
	var b builder
	for i := 0; i < len(format.s); i++ {
		if format.s[i] != '%' || i+1 == len(format.s) {
			b.addRange(format, i, i+1)
			continue
		}
		i++
		pad := true
		if format.s[i] == '-' && i+1 < len(format.s) {
			pad = false
			i++
		}
		s, ok := strftimePart(st.lim.Now, format.s[i])
		if !ok {
			b.lit("%")
			b.addRange(format, i, i+1)
			continue
		}
		if !pad {
			if s = strings.TrimLeft(s, "0 "); s == "" {
				s = "0"
			}
		}
		b.lit(s)
		st.charge(len(s))
	}
	return st.made(b.text())
}

func strftimePart(t time.Time, c byte) (string, bool) {
	if layout, ok := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06", 'e': "_2",
		'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05",
		'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'j': "002",
	}[c]; ok {
		return t.Format(layout), true
	}
	year, week := t.ISOWeek()
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'g':
		return fmt.Sprintf("%02d", year%100), true
	case 'G':
		return fmt.Sprintf("%d", year), true
	case 'V':
		return fmt.Sprintf("%02d", week), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", (t.Hour()+11)%12+1), true
	case 's':
		return fmt.Sprintf("%d", t.Unix()), true
	case 'u':
		return fmt.Sprintf("%d", (int(t.Weekday())+6)%7+1), true
	case 'w':
		return fmt.Sprintf("%d", t.Weekday()), true
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7), true
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7), true
	case 'z', 'Z': // Python's naive time has no zone
		return "", true
	}
	return "", false
}
