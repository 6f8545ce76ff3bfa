package claims

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/ulikunitz/xz"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/study/eval"
	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
)

// weights: claim 14.
func (r *run) weights(c *Claim) error {
	r.step("reading the weights of %s", r.DenseName)
	f, err := r.Dense.File(r.ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	var all []float32
	first := ""
	for _, t := range f.Tensors() {
		if len(t.Shape) < 2 || !strings.HasSuffix(t.Name, ".weight") {
			continue
		}
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		const most = 64 << 20
		if len(all)+n > most {
			c.note("Of the matrices those up to %d million weights are read.", most>>20)
			break
		}
		x := make([]float32, n)
		quant.Dequantize(t.Type, x, f.Data(&t))
		if strings.HasSuffix(t.Name, "ffn_down.weight") && first == "" || len(all) == 0 {
			first = fmt.Sprintf("Sixteen weights of %s: %s", t.Name, numbers(x[:min(16, len(x))]))
		}
		all = append(all, x...)
	}
	c.note("%s", first)
	weightRows(c, r.DenseName, all)
	return nil
}

func numbers(x []float32) string {
	var parts []string
	for _, v := range x {
		parts = append(parts, fmt.Sprintf("%.5f", v))
	}
	return strings.Join(parts, ", ")
}

// weightRows judges weights.
func weightRows(c *Claim, name string, all []float32) {
	finite, least, most := 0, math.Inf(1), math.Inf(-1)
	nearest, sum, squares := math.Inf(1), 0.0, 0.0
	distinct := map[float32]bool{}
	const example = 0.00231
	for _, v := range all {
		w := float64(v)
		if math.IsNaN(w) || math.IsInf(w, 0) {
			continue
		}
		finite++
		least, most = min(least, w), max(most, w)
		sum, squares = sum+w, squares+w*w
		if math.Abs(w-example) < math.Abs(nearest-example) {
			nearest = w
		}
		if len(distinct) < 100_000 {
			distinct[v] = true
		}
	}
	n := float64(len(all))
	deviation := math.Sqrt(max(0, squares/n-sum/n*sum/n))
	how := fmt.Sprintf("All %d weights of the matrices: from %.4f to %.4f, standard deviation %.4f.", len(all), least, most, deviation)
	c.add("weights-finite", name+": share of the weights that are finite numbers", found{value: float64(finite) / n, format: plain, how: how})
	c.add("weights-like", name+": the weight that is nearest to 0.00231", found{value: nearest, format: func(x float64) string { return fmt.Sprintf("%.5f", x) }, how: how})
	c.add("weights-distinct", name+": different values among the weights (counted up to 100,000)", found{value: float64(len(distinct)), format: count, how: how})
	c.pictures = append(c.pictures, histogram(all, deviation))
	c.note("What training changed is not seen in a single number: random weights look much the same, and predict nothing (claim 11).")
}

// histogram counts weights by size, in steps of half a standard deviation.
func histogram(all []float32, deviation float64) template.HTML {
	const half = 8
	counts := make([]float64, 2*half+1)
	for _, v := range all {
		i := int(math.Round(2 * float64(v) / max(deviation, 1e-30)))
		counts[half+max(-half, min(half, i))]++
	}
	bars := page.Bars{Title: "The weights, by size", Value: page.Axis{Label: "share of the weights", Format: percent}, Note: "The outermost rows hold everything beyond."}
	for i, n := range counts {
		bars.Rows = append(bars.Rows, page.BarRow{Name: fmt.Sprintf("%+.3f", float64(i-half)/2*deviation), Values: []float64{n / float64(len(all))}})
	}
	return bars.HTML()
}

// compression: claim 15.
func (r *run) compression(c *Claim) error {
	m, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	r.step("compressing the text")
	text := []byte(r.Text)
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	var xzed bytes.Buffer
	x, err := xz.NewWriter(&xzed)
	if err != nil {
		return err
	}
	if _, err := x.Write(text); err != nil {
		return err
	}
	if err := x.Close(); err != nil {
		return err
	}
	chunks, err := eval.Chunks(m.Tokenizer(), r.Text, min(eval.DefaultChunk, m.Info().Config.NCtx))
	if err != nil {
		return err
	}
	command := fmt.Sprintf("goinfer perplexity %s -f builtin:valid.txt", r.DenseName)
	if r.Quick {
		chunks = eval.Spread(chunks, 32)
		command += " --chunks 32 --spread"
	}
	r.step("predicting %d chunks", len(chunks))
	res, err := eval.Perplexity(r.ctx, m, chunks, eval.Options{})
	if err != nil {
		return err
	}
	r.step("continuing the text")
	exact, err := recited(r, m, chunks)
	if err != nil {
		return err
	}
	known, err := r.known(m)
	if err != nil {
		return err
	}
	var parameters int64
	for _, t := range m.Info().Tensors {
		parameters += t.Elements()
	}
	size := float64(len(text))
	compressionRows(c, r.DenseName, res, float64(zipped.Len())/size, float64(xzed.Len())/size, exact, known, parameters, command)
	return nil
}

// compressionRows judges bits per byte beside what general compressors leave of each byte.
func compressionRows(c *Claim, name string, res eval.Result, zipped, xzed float64, exact [2]int, known int, parameters int64, command string) {
	share := res.BitsPerByte() / 8
	off := share * res.Error / res.PPL / math.Log(res.PPL)
	how := fmt.Sprintf("%s predicts held-out text with %.3f bits for each byte, which is %.1f %% of its size if the predictions are entropy-coded; gzip leaves %.1f %% and xz %.1f %% of the whole text. The model's own size does not count.",
		name, 8*share, 100*share, 100*zipped, 100*xzed)
	c.add("compress/gzip", name+": bits for each byte of held-out text ÷ those of gzip", found{value: share / zipped, err: off / zipped, format: plain, how: how})
	c.add("compress/xz", name+": bits for each byte of held-out text ÷ those of xz", found{value: share / xzed, err: off / xzed, format: plain, how: how})
	c.note("%.3f bits for each byte are printed by %s.", 8*share, command)
	p := float64(exact[0]) / float64(max(1, exact[1]))
	c.add("lossy", name+": held-out passages that it continues word for word", found{value: p, err: math.Sqrt(p * (1 - p) / float64(max(1, exact[1]))), format: percent,
		how: fmt.Sprintf("%d of %d passages: the 12 tokens after a quarter of a chunk, the most probable one each time.", exact[0], exact[1])})
	c.add("parameters-per-fact", name+": parameters for each fact that it is known to hold", found{value: float64(parameters) / float64(max(1, known)), format: func(x float64) string { return fmt.Sprintf("%.0f", x) },
		how: fmt.Sprintf("%d parameters; of the %d facts asked for in claim 13 it answers %d. Its model card counts 39 of 40 capitals and 58 of 60 opposites, still 59,000 parameters for each.", parameters, len(facts), known)})
	c.pictures = append(c.pictures, page.Bars{Title: "What is left of each byte of the text", Value: page.Axis{Label: "share", Format: percent},
		Rows: []page.BarRow{{Name: "gzip -9", Values: []float64{zipped}}, {Name: "xz", Values: []float64{xzed}}, {Name: name, Values: []float64{share}}}}.HTML())
}

// recited counts the passages whose next 12 tokens are each the most probable one.
func recited(r *run, m *goinfer.Model, chunks []eval.Chunk) (n [2]int, err error) {
	const length = 12
	for _, c := range chunks {
		at := len(c.Input) / 4
		if at+length > len(c.Input) {
			continue
		}
		s, err := eval.Continued{Tokens: c.Input[:at+length], First: at}.Score(r.ctx, m, nil)
		if err != nil {
			return n, err
		}
		n[1]++
		if s.Greedy {
			n[0]++
		}
	}
	return n, nil
}

// known counts the facts that a model completes.
func (r *run) known(m *goinfer.Model) (n int, err error) {
	for _, f := range facts {
		s, err := eval.Continuation(r.ctx, m, f.prompt, " "+f.word, nil)
		if err != nil {
			return 0, err
		}
		if s.Greedy {
			n++
		}
	}
	return n, nil
}

// The countries of claim 16. The invented ones are of books and films, or of nobody.
var (
	countries = []string{"France", "Spain", "Italy", "Germany", "Greece", "Egypt", "Japan", "Portugal", "Norway", "Austria", "Poland", "England"}
	capitals  = []string{"Paris", "Madrid", "Rome", "Berlin", "Athens", "Cairo", "Tokyo", "Lisbon", "Oslo", "Vienna", "Warsaw", "London"}
	invented  = []string{"Wakanda", "Atlantis", "Narnia", "Ruritania", "Elbonia", "Genovia", "Zubrowka", "Freedonia", "Utopia", "Mordor", "Lilliput", "Brobdingnag"}
)

// asked is what a model answers to a question for a capital.
type asked struct {
	entropy float64 // of the next token, in nats
	first   string  // the most probable next token
	prob    float64
}

func (r *run) ask(m *goinfer.Model, names []string) (list []asked, err error) {
	for _, name := range names {
		p, err := explain.Predict(r.ctx, m, explain.Question{Prompt: "The capital of " + name + " is", Top: 1})
		if err != nil {
			return nil, err
		}
		list = append(list, asked{p.Entropy, p.Top[0].Text, p.Top[0].Prob})
	}
	return list, nil
}

// invention: claim 16.
func (r *run) invention(c *Claim) error {
	m, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	r.step("asking for capitals")
	real, err := r.ask(m, countries)
	if err != nil {
		return err
	}
	none, err := r.ask(m, invented)
	if err != nil {
		return err
	}
	// The tokens with which the names of capitals begin.
	begins := map[string]bool{}
	v := m.Tokenizer()
	for _, name := range capitals {
		if ids := v.Encode(nil, " "+name, false, false); len(ids) > 0 {
			begins[string(v.Bytes(ids[0]))] = true
		}
	}
	inventionRows(c, r.DenseName, real, none, begins)
	r.step("writing")
	all, err := r.draw(m)
	if err != nil {
		return err
	}
	novelRows(c, r.DenseName, all, r.Training)
	return nil
}

// inventionRows judges what is answered about real and invented countries.
func inventionRows(c *Claim, name string, real, none []asked, begins map[string]bool) {
	mean := func(list []asked) (m, off float64) {
		var all []float64
		for _, a := range list {
			all = append(all, a.entropy)
			m += a.entropy / float64(len(list))
		}
		return m, deviation(all) / math.Sqrt(float64(len(list)))
	}
	a, offA := mean(real)
	b, offB := mean(none)
	c.add("invented-entropy", name+": entropy of the answer for invented countries ÷ for real ones", found{value: b / a, err: b / a * math.Hypot(offA/a, offB/b), format: times,
		how: fmt.Sprintf("%.2f nats on average over %d invented countries, %.2f over %d real ones.", b, len(none), a, len(real))})
	guessed := 0
	t := page.Table{Caption: "What follows \"The capital of … is\"", Head: []string{"country", "most probable", "probability", "entropy in nats"}}
	for i, x := range slices.Concat(real, none) {
		country := slices.Concat(countries, invented)[i%(len(countries)+len(invented))]
		if i >= len(real) && begins[x.first] {
			guessed++
		}
		t.Rows = append(t.Rows, []any{country, x.first, fmt.Sprintf("%.3f", x.prob), fmt.Sprintf("%.2f", x.entropy)})
	}
	p := float64(guessed) / float64(len(none))
	c.add("invented-answered", name+": invented countries that get the beginning of a real capital as the answer", found{value: p, err: math.Sqrt(p * (1 - p) / float64(len(none))), format: percent,
		how: fmt.Sprintf("%d of %d: the most probable token is one with which the name of one of twelve real capitals begins.", guessed, len(none))})
	bars := page.Bars{Title: "Entropy of the answer", Value: page.Axis{Label: "entropy", Unit: "nats"}, Rows: []page.BarRow{{Name: "real countries", Values: []float64{a}}, {Name: "invented ones", Values: []float64{b}}}}
	c.pictures = append(c.pictures, bars.HTML(), page.Details("The numbers", t.HTML()))
}

// written is a continuation that was drawn from the model's own distribution.
type written struct {
	text string
	bits float64 // minus the binary logarithm of its probability
}

// The sizes of claim 16: runs of so many tokens, and how improbable one must be.
//
// Whatever the training text is, it has fewer than 2^44 runs of so many tokens (15·10¹² tokens is the largest that is
// known). Of all runs that are less probable than 2^-64, those in the text have a probability of less than 2^44·2^-64 =
// 2^-20 together. So a run that was drawn from the model, and that is so improbable, stands in the text with a probability
// of less than one in a million.
const (
	runTokens = 24
	novelBits = 64
)

var beginnings = []string{
	"The old king looked out of the window and", "In the middle of the night the boy", "Far away in the mountains there was", "She took the golden key and",
}

// draw writes continuations with temperature 1 and no other sampler, so that each comes with its own probability.
func (r *run) draw(m *goinfer.Model) (all []written, err error) {
	n := 5
	if r.Quick {
		n = 3
	}
	for _, prompt := range beginnings {
		for seed := range n {
			w := written{text: prompt}
			count := 0
			q := goinfer.Request{Prompt: prompt, MaxTokens: runTokens, LogProb: true, Sampling: goinfer.Sampling{Seed: uint64(seed), Temperature: 1}}
			for piece, err := range m.Generate(r.ctx, q) {
				if err != nil {
					return nil, err
				}
				w.text += string(piece.Bytes)
				if piece.Stop == "" {
					w.bits -= float64(piece.LogProb) / math.Ln2
					count++
				}
			}
			if count == runTokens {
				w.text = strings.Join(strings.Fields(strings.ToValidUTF8(w.text, "")), " ")
				all = append(all, w)
			}
		}
	}
	return all, nil
}

// novelRows judges continuations: those that no text can be expected to hold, and runs of words that a text lacks.
func novelRows(c *Claim, name string, all []written, training string) {
	novel := 0
	var least, most string
	low, high := math.Inf(1), 0.0
	for _, w := range all {
		if w.bits >= novelBits {
			novel++
		}
		if w.bits < low {
			low, least = w.bits, w.text
		}
		if w.bits > high {
			high, most = w.bits, w.text
		}
	}
	c.add("novel", fmt.Sprintf("%s: continuations of %d tokens, of %d, that are new beyond reasonable doubt", name, runTokens, len(all)), found{value: float64(novel), format: count,
		how: fmt.Sprintf("Drawn with temperature 1, each comes with its own probability; from 2^-%.0f to 2^-%.0f. A text of 15·10¹² tokens holds fewer than 2^44 such runs, so one that is less probable than 2^-%d is one of them with a probability below 2^-%d.", low, high, novelBits, novelBits-44)})
	if most != "" {
		c.note("The most probable one, 2^-%.0f: %q. The least, 2^-%.0f: %q.", low, least, high, most)
	}
	if training == "" {
		c.note("The training text is not built in. With --training FILE the runs of six words that it lacks are counted too.")
		return
	}
	const n = 6
	have := map[string]bool{}
	for _, g := range ngrams(training, n) {
		have[g] = true
	}
	runs, missing := 0, 0
	for _, w := range all {
		for _, g := range ngrams(w.text, n) {
			runs++
			if !have[g] {
				missing++
			}
		}
	}
	p := float64(missing) / float64(max(1, runs))
	c.add("novel-ngrams", fmt.Sprintf("%s: runs of %d words in them that the training text lacks", name, n), found{value: p, err: math.Sqrt(p * (1 - p) / float64(max(1, runs))), format: percent,
		how: fmt.Sprintf("%d of %d, without regard to case and punctuation.", missing, runs)})
}

// ngrams are the runs of n words of a text, in small letters and without punctuation.
func ngrams(s string, n int) []string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
	var all []string
	for i := 0; i+n <= len(words); i++ {
		all = append(all, strings.Join(words[i:i+n], " "))
	}
	return all
}
