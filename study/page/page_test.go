package page

import (
	"bytes"
	"encoding/json"
	"html"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/browser"
)

const evil = `</script><script>document.documentElement.dataset.error="in"</script>"'<b onmouseover=x>`

// sample is a page with one of everything, and with hostile texts wherever one can go.
func sample(t *testing.T, text string) []byte {
	t.Helper()
	p := New("Everything "+text, "A lead. "+text)
	p.Foot = "goinfer nothing " + text
	var speed, predicted, cloud []Point
	for i := range 8 {
		n := math.Pow(2, float64(i+9))
		speed = append(speed, Point{X: n, Y: 800 / (10 + n/1000), Name: text})
		predicted = append(predicted, Point{X: n, Y: 820 / (10 + n/1100)})
	}
	for i := range 30 {
		x := float64(i + 1)
		cloud = append(cloud, Point{X: x, Y: 3*x + 5*math.Sin(x*7)})
	}
	line, power := LeastSquares(cloud, false), LeastSquares(speed, true)
	p.Section("Curves "+text,
		Text("A paragraph: %s.", text),
		Plot{Title: "Speed by context " + text, Note: text, X: Axis{Label: "context", Unit: "tokens", Log: true}, Y: Axis{Label: "speed", Unit: "tokens/s", Zero: true},
			Series: []Series{{Name: "measured " + text, Points: speed}, {Name: "predicted", Points: predicted, Style: Dashed}}}.HTML(),
		Columns(
			Plot{Title: "A cloud and its line", X: Axis{Label: "parameters", Unit: "G"}, Y: Axis{Label: "time", Unit: "ms"}, Series: []Series{{Name: "models", Points: cloud, Style: Dots, Fit: &line}}}.HTML(),
			Plot{Title: "Both axes logarithmic", X: Axis{Label: "context", Log: true, Ticks: []float64{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}},
				Y: Axis{Label: "speed", Unit: "tokens/s", Log: true}, Series: []Series{{Name: "measured", Points: speed, Fit: &power}, {Name: "none", Points: []Point{{X: 0, Y: 1}}}}}.HTML(),
		))
	p.Section("Bars",
		Bars{Title: "One value each", Value: Axis{Label: "probability", Unit: "%"}, Rows: []BarRow{{Name: " east", Values: []float64{93.1}}, {Name: " west", Values: []float64{4.2}},
			{Name: "a very long name of a token that is longer than the room there is for it " + text, Values: []float64{0.03}, Note: text}}}.HTML(),
		Bars{Title: "Several", Value: Axis{Label: "memory", Unit: "GB"}, Series: []string{"predicted", "measured"}, Rows: []BarRow{
			{Name: "7B", Values: []float64{14, 13.2}}, {Name: "13B", Values: []float64{26, 24.9}}, {Name: "70B", Values: []float64{140, math.NaN()}}}}.HTML(),
		Bars{Title: "Stacked", Stacked: true, Value: Axis{Label: "parameters"}, Series: []string{"embedding", "attention", "feed-forward"}, Rows: []BarRow{
			{Name: "llama-2-7b", Values: []float64{262e6, 2147e6, 4328e6}}, {Name: "llama-3-8b", Values: []float64{1050e6, 1342e6, 5637e6}}}}.HTML(),
		Bars{Title: "None"}.HTML(),
		Bars{Title: "Both sides", Value: Axis{Label: "Δ"}, Rows: []BarRow{{Name: "up", Values: []float64{2}}, {Name: "down", Values: []float64{-3}}}}.HTML())
	heat := HeatMap{Title: "Load", Note: text, X: "expert", Y: "layer", Value: Axis{Label: "share", Unit: "%"}}
	for r := range 4 {
		heat.Rows = append(heat.Rows, string(rune('0'+r)))
		row := make([]float64, 8)
		for i := range row {
			row[i] = math.Abs(math.Sin(float64(r*8+i))) * 100
		}
		heat.Values = append(heat.Values, row)
	}
	for i := range 8 {
		heat.Columns = append(heat.Columns, string(rune('0'+i)))
	}
	wide := heat
	wide.Title, wide.Columns, wide.Values, wide.Rows = "A wide one", nil, nil, []string{"a", "b " + text}
	for i := range 100 {
		wide.Columns = append(wide.Columns, "token "+strings.Repeat("x", i%9))
	}
	for range 2 {
		row := make([]float64, 100)
		for i := range row {
			row[i] = math.Cos(float64(i) / 5)
		}
		wide.Values = append(wide.Values, row)
	}
	p.Section("Grids", heat.HTML(), wide.HTML())
	p.Section("Tables", Table{Caption: "Counts " + text, Head: []string{"model", "parameters", "verdict", "note"}, Rows: [][]any{
		{"llama-2-7b", "6,738,415,616", Badge(Good, "holds"), text}, {"mixtral-8x7b", "46,702,792,704", Badge(Fair, "holds roughly"), "–"}, {"other", 7, Badge(Bad, "does not hold")}, {"none"},
	}}.HTML(), Code("goinfer params llama-2-7b\n"+text), Details("more "+text, Text("hidden")))
	data, err := Data("everything", map[string]string{"text": text})
	require.NoError(t, err)
	p.Add(data, Script(`document.body.dataset.text = JSON.parse(document.getElementById("everything").textContent).text;`))
	var b bytes.Buffer
	require.NoError(t, p.Render(&b))
	return b.Bytes()
}

func TestEscaping(t *testing.T) {
	doc := string(sample(t, evil))
	require.NotContains(t, doc, "<b onmouseover")
	require.NotContains(t, doc, `</script><script>document.documentElement.dataset.error`)
	require.Empty(t, browser.Outside(doc))
	var data struct{ Text string }
	_, rest, _ := strings.Cut(doc, `<script type="application/json" id="everything">`)
	text, _, _ := strings.Cut(rest, "</script>")
	require.NoError(t, json.Unmarshal([]byte(text), &data))
	require.Equal(t, evil, data.Text)

	_, err := Data(`x" onload="`, 1)
	require.ErrorContains(t, err, "want small letters")
	_, err = Data("x", math.NaN())
	require.ErrorContains(t, err, `data "x"`)
	filled, err := Fill(template.Must(template.New("").Parse(`<i title="{{.}}">{{.}}</i>`)), evil)
	require.NoError(t, err)
	require.NotContains(t, string(filled), "<b")
}

// layout has the page laid out in several widths and reports in data-faults which labels touch each
// other or leave their picture, and where the page is wider than it should be.
const layout = `<script>
const faults = [];
for (const width of [360, 800, 1600]) {
	document.body.style.width = width + "px";
	let shown = 0;
	for (const svg of document.querySelectorAll("svg.chart")) {
		const frame = svg.getBoundingClientRect();
		if (!frame.width) continue;
		shown++;
		const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
		boxes.forEach(([text, a], i) => {
			if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) faults.push(width + " outside: " + text);
			boxes.slice(i + 1).forEach(([other, b]) => {
				if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4) faults.push(width + " touching: " + text + " | " + other);
			});
		});
	}
	if (shown != 10) faults.push(width + " charts: " + shown);
	if (document.body.scrollWidth > width) faults.push(width + ": the page is wider than that");
}
document.body.dataset.faults = faults.join("; ");
</script>`

var bodyTag = regexp.MustCompile(`<body[^>]*>`)

func TestPageBrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	for name, text := range map[string]string{"plain": "", "hostile": evil} {
		require.NoError(t, os.WriteFile(path, sample(t, text), 0o600))
		body := html.UnescapeString(bodyTag.FindString(browser.Open(t, path, layout)))
		require.Contains(t, body, `data-faults=""`, name)
		require.Contains(t, body, `data-text="`+text+`"`, name)
	}
}

func TestBlockedBrowser(t *testing.T) {
	p := New("x", "")
	p.Add(Script(`new Image().src = "http://127.0.0.1:9/x.png"; fetch("http://127.0.0.1:9/").catch(() => {});`))
	path := filepath.Join(t.TempDir(), "page.html")
	var b bytes.Buffer
	require.NoError(t, p.Render(&b))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	fake := &recorder{TB: t}
	browser.Open(fake, path)
	require.Contains(t, fake.said, "blocked http://127.0.0.1:9")
}

// recorder takes down what a test would fail with.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.said += strings.TrimSpace(format) + " " + argsText(args)
}

func argsText(args []any) string {
	var parts []string
	for _, a := range args {
		if err, ok := a.(error); ok {
			parts = append(parts, err.Error())
		}
	}
	return strings.Join(parts, " ")
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 1234: "1234", 12345: "12.3k", 6738415616: "6.74G", -3: "−3", 999999: "1M", 1e-3: "0.001", 9999.4: "9999",
		9999.6: "10k", -1e-5: "−1e−05", math.Inf(1): "∞", math.Inf(-1): "−∞"} {
		require.Equal(t, want, Number(v))
	}
}

func TestLeastSquares(t *testing.T) {
	f := LeastSquares([]Point{{X: 1, Y: 5}, {X: 2, Y: 7}, {X: 4, Y: 11}, {X: math.NaN(), Y: 1}}, false)
	require.InDelta(t, 2, f.Slope, 1e-12)
	require.InDelta(t, 3, f.Intercept, 1e-12)
	require.InDelta(t, 1, f.R2, 1e-12)
	require.Equal(t, "y = 2·x + 3, R² = 1.0000", f.String())
	f = LeastSquares([]Point{{X: 1, Y: 3}, {X: 10, Y: 300}, {X: 0, Y: 9}}, true)
	require.InDelta(t, 2, f.Slope, 1e-12)
	require.InDelta(t, 75, f.At(5), 1e-9)
	require.True(t, math.IsNaN(LeastSquares([]Point{{X: 1, Y: 1}}, false).Slope))
}

func TestTable(t *testing.T) {
	h := string(Table{Head: []string{"a", "b"}, Rows: [][]any{{"x", "≈ 7.5 GB"}, {"y", "–"}, {"<z>"}}}.HTML())
	require.Equal(t, 1, strings.Count(h, `<th scope="col" class="right">b</th>`))
	require.Contains(t, h, `<td>&lt;z&gt;</td><td class="right"></td>`)
}

// TestTicks holds that ticks are on the axis, in order, and begin and end near its ends, for ranges
// of every size.
func TestTicks(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, r := range [][2]float64{{1, 2}, {0.001, 0.0011}, {1, 1e9}, {3, 3}, {512, 65536}, {1e-8, 1}, {99, 101}} {
			a := &Axis{Log: log}
			s := a.newScale(r[:], 6, 0, 300)
			s.whole = false
			ticks := s.ticks(6, func([]float64) bool { return true })
			require.GreaterOrEqual(t, len(ticks), 2, "%v %v", r, log)
			last := math.Inf(-1)
			for _, v := range ticks {
				require.Greater(t, v, last)
				require.InDelta(t, 150, s.at(v), 151, "%v %v %v", r, log, v)
				last = v
			}
		}
	}
	// whole numbers that float64 cannot distinguish
	s := (&Axis{}).newScale([]float64{1e17, 1e17 + 16}, 6, 0, 300)
	require.LessOrEqual(t, len(s.ticks(6, func([]float64) bool { return true })), 8)
}
