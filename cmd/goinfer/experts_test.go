package main

import (
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/browser"
	"github.com/goinfer/goinfer/study/explain"
)

func TestExpertsTrace(t *testing.T) {
	out := ok(t, command(t, "", "experts", "trace", "The sun rises"))
	require.Regexp(t, `(?m)^1 +"The" +0 +\d\.\d{3} +\d × 0\.\d{3} \+ \d × 0\.\d{3}$`, out)

	lines := strings.Split(strings.TrimSpace(ok(t, command(t, "", "experts", "trace", "--json", "--logits", "--layers", "1-2", "The sun rises"))), "\n")
	require.Len(t, lines, 2*5)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &row))
	require.EqualValues(t, 1, row["pos"])
	require.EqualValues(t, 2, row["layer"])
	require.Equal(t, "The", row["text"])
	require.Len(t, row["experts"], 2)
	require.Len(t, row["logits"], 8)
	require.Contains(t, row, "entropy")
	require.Contains(t, row, "token")

	csv := ok(t, command(t, "", "experts", "trace", "--csv", "-n", "3", "The sun"))
	require.True(t, strings.HasPrefix(csv, "pos,token,text,layer,rank,expert,weight,entropy\n0,1,<s>,0,1,"), csv)
	require.Equal(t, 1+2*4*(3+2), strings.Count(csv, "\n"), "the last token is generated and not evaluated")

	one := ok(t, command(t, "", "experts", "trace", "--csv", "--experts-top-k", "1", "--experts-layers", "0", "The sun"))
	require.Equal(t, 1+3*(1+3*2), strings.Count(one, "\n"))

	short := command(t, "", "experts", "trace", "--max-tokens", "2", "The sun rises in the")
	require.Equal(t, 0, short.code)
	require.Contains(t, short.err, "the text has 7 tokens, of which the first 2 are evaluated; --max-tokens changes that")
	require.Equal(t, 1+2*4+1, strings.Count(short.out, "\n"))
	small := command(t, "", "experts", "trace", "-c", "4", "The sun rises in the")
	require.Contains(t, small.err, "of which the first 4 are evaluated; -c changes that")

	for _, sub := range []string{"trace", "heatmap", "stats", "cost"} {
		fault(t, command(t, "", "experts", sub, "tiny-dense", "The sun"), "tiny-dense: the model has no experts")
	}
	fault(t, command(t, "", "experts", "whatif", "tiny-dense", "--experts-top-k", "1", "The sun"), "tiny-dense: the model has no experts")
	fault(t, command(t, "", "run", "--experts-top-k", "1", "The sun"), "the model has no experts")
	fault(t, command(t, "", "experts", "trace", "--layers", "7", "x"), "layer 7 has no experts: the layers that do are 0-3")
	wrong(t, command(t, "", "experts", "trace", "--json", "--csv", "x"), "want one of --json, --csv and --html")
	wrong(t, command(t, "", "experts", "trace", "--logits", "x"), "--logits wants --json")
	wrong(t, command(t, "", "experts", "trace", "--max-tokens", "0", "x"), "--max-tokens: want at least 1, found 0")
	wrong(t, command(t, "", "experts", "draw", "x"), `there is no command "draw"`)
	require.Equal(t, exitUsage, command(t, "", "experts").code)
	require.Contains(t, ok(t, command(t, "", "help", "experts", "trace")), "goinfer experts trace [flags]")
	require.Contains(t, ok(t, command(t, "", "experts", "--help")), "whatif")
}

func TestExpertsHeatmap(t *testing.T) {
	out := ok(t, command(t, "", "experts", "heatmap", "The sun rises"))
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^ +layer 0 +layer 1 +layer 2 +layer 3`, lines[0])
	require.Regexp(t, `^  The( [·░▒▓█]{16}){4}$`, lines[2])
	narrow := heatMap{t: &explain.Trace{MoE: explain.MoE{Experts: 256}}, width: 40, bin: 8, cell: 1}
	require.Equal(t, 32, narrow.cells())
	require.Equal(t, "·█"+strings.Repeat("·", 30), narrow.row(&explain.Route{Experts: []explain.ExpertWeight{{ID: 9, Weight: 1}}}))

	wrong(t, command(t, "", "experts", "heatmap", "--html", "x.html", "--json", "x"), "want one of --json, --csv and --html")
}

func TestExpertsStats(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("Once upon a time, there was a dog named Max. He had 3 balls!\n", 40)), 0o600))
	out := ok(t, command(t, "", "experts", "stats", "-f", text))
	for _, want := range []string{"in 4 layers with experts; each chooses 2 of 8 for a token", "balance", "specialists", "chosen together", "punctuation"} {
		require.Contains(t, out, want)
	}
	var s explain.RouterStats
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "experts", "stats", "-f", text, "--json", "--experts-ban", "3"))), &s))
	for _, l := range s.Layers {
		require.Contains(t, l.Idle, 3)
	}
}

func TestExpertsWhatIf(t *testing.T) {
	out := ok(t, command(t, "", "experts", "whatif", "--experts-top-k", "1", "-n", "6", "The sun rises in the"))
	require.Contains(t, out, `as trained  " east.`)
	require.Contains(t, out, "1 expert per token")
	require.Regexp(t, `KL 0\.\d{4} in the mean`, out)
	wrong(t, command(t, "", "experts", "whatif", "x"), "want an override")
	wrong(t, command(t, "", "run", "tiny-moe", "--experts-top-k", "9", "x"), "a top-k of 9: want 1 to 8 experts")
	wrong(t, command(t, "", "run", "tiny-moe", "--experts-random=x", "y"), "want a whole number from 0 as a seed")

	own := ok(t, command(t, "", "run", "tiny-moe", "--temp", "0", "-n", "12", "Once upon a time"))
	require.Equal(t, own, ok(t, command(t, "", "run", "tiny-moe", "--temp", "0", "-n", "12", "--experts-top-k", "2", "Once upon a time")))
	lot := ok(t, command(t, "", "run", "tiny-moe", "--temp", "0", "-n", "12", "--experts-random", "Once upon a time"))
	require.NotEqual(t, own, lot)
	require.Equal(t, lot, ok(t, command(t, "", "run", "tiny-moe", "--temp", "0", "-n", "12", "--experts-random=0", "Once upon a time")))

	next := ok(t, command(t, "", "next", "tiny-moe", "The sun rises in the"))
	require.Equal(t, next, ok(t, command(t, "", "next", "tiny-moe", "--experts-top-k", "2", "The sun rises in the")))
	require.NotEqual(t, next, ok(t, command(t, "", "next", "tiny-moe", "--experts-uniform", "The sun rises in the")))

	text := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("The dog ran to the park. ", 40)), 0o600))
	same := ok(t, command(t, "", "perplexity", "tiny-moe", "-c", "64", "-f", text, "--kl", "tiny-moe", "--experts-top-k", "2"))
	require.Contains(t, same, "KL divergence   0.000000")
	require.NotContains(t, ok(t, command(t, "", "perplexity", "tiny-moe", "-c", "64", "-f", text, "--kl", "tiny-moe", "--experts-top-k", "1")), "KL divergence   0.000000")
}

func TestExpertsCost(t *testing.T) {
	var prices []explain.ExpertCost
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "experts", "cost", "--json", "-n", "8", "-r", "1", "The sun rises in the east."))), &prices))
	require.Len(t, prices, 4)
	for i, p := range prices {
		require.Equal(t, 1<<i, p.Experts)
		require.Positive(t, p.Speed)
		if i > 0 {
			require.Greater(t, p.BytesPerToken, prices[i-1].BytesPerToken)
		}
		require.Equal(t, p.Experts == 2, p.KL == 0, "%+v", p)
	}
	require.Contains(t, ok(t, command(t, "", "experts", "cost", "-k", "1,2", "-n", "4", "-r", "1", "The sun rises.")), "the model's own number")
	wrong(t, command(t, "", "experts", "cost", "-n", "1", "x"), "-n, --predict: want at least 2, found 1")
	wrong(t, command(t, "", "experts", "cost", "-k", "9", "The sun"), "-k, --experts: want 1 to 8, found 9")
}

// TestExpertsBrowser has the pages work in a browser: the controls, the keys, the exports, the
// scores under the pointer.
func TestExpertsBrowser(t *testing.T) {
	dir := t.TempDir()
	heatmap := filepath.Join(dir, "heatmap.html")
	ok(t, command(t, "", "experts", "heatmap", "--html", heatmap, "-n", "4", "The <b>sun</b> \"rises\" in the"))
	document := browser.Open(t, heatmap, `<script>
		const said = {}, click = id => document.getElementById(id).click(), where = () => document.getElementById("where").textContent;
		const key = k => document.dispatchEvent(new KeyboardEvent("keydown", { key: k }));
		said.begin = where();
		click("forth"); click("forth"); key("ArrowRight"); said.third = where();
		key("ArrowLeft"); said.second = where();
		key("End"); said.end = where();
		key("Home"); said.home = where();
		key(" "); said.play = document.getElementById("play").textContent;
		key(" "); said.pause = document.getElementById("play").textContent;
		const saved = [];
		URL.createObjectURL = b => { saved.push(b); return "#"; };
		click("csv"); click("json");
		const box = document.getElementById("now").getBoundingClientRect();
		document.getElementById("now").dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + 70, clientY: box.top + 30 }));
		said.tip = document.getElementById("tip").textContent;
		Object.defineProperty(window, "devicePixelRatio", { value: 1000 }); // more pixels than a canvas can have
		dispatchEvent(new Event("resize"));
		const timeline = document.getElementById("timeline");
		said.drawn = timeline.getContext("2d").getImageData(0, 0, timeline.width, 200).data.some(v => v > 0);
		Promise.all(saved.map(b => b.text())).then(([csv, json]) => {
			said.csv = csv.split("\n").length;
			said.json = JSON.parse(json).length;
			document.body.dataset.said = JSON.stringify(said);
		});
	</script>`)
	m := regexp.MustCompile(`<body[^>]* data-said="([^"]*)"`).FindStringSubmatch(document)
	require.NotNil(t, m)
	var said map[string]any
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(strings.ReplaceAll(m[1], "&amp;", "&"))), &said))
	var n int
	for _, p := range regexp.MustCompile(`token 1 of (\d+)`).FindStringSubmatch(said["begin"].(string))[1:] {
		require.NoError(t, json.Unmarshal([]byte(p), &n))
	}
	require.Regexp(t, `^token 4 of `, said["third"])
	require.Regexp(t, `^token 3 of `, said["second"])
	require.Regexp(t, `^token (\d+) of \d+$`, said["end"])
	require.Equal(t, said["begin"], said["home"])
	require.Contains(t, said["play"], "pause")
	require.Equal(t, true, said["drawn"])
	require.Contains(t, said["pause"], "play")
	require.Regexp(t, `“<s>” at position 0\nlayer 0, expert 0\nprobability [\d.]+ %, rank \d\nlogit -?[\d.]+\n(not )?chosen`, said["tip"])
	require.EqualValues(t, 1+n*4*8+1, said["csv"])
	require.EqualValues(t, n*4, said["json"])

	text := filepath.Join(dir, "text.txt")
	require.NoError(t, os.WriteFile(text, []byte("Once upon a time, there was a dog named Max. He had 3 balls!\n"), 0o600))
	for _, args := range [][]string{{"stats", "-f", text, "--experts-ban", "1"}, {"cost", "-n", "4", "-r", "1", "-f", text}} {
		path := filepath.Join(dir, args[0]+".html")
		ok(t, command(t, "", append([]string{"experts", args[0], "--html", path}, args[1:]...)...))
		require.Contains(t, browser.Open(t, path), "<svg")
	}
}
