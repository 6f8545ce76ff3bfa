package claims

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Origin is whose figure a limit is.
type Origin uint8

// The origins.
const (
	Article Origin = iota // the article's, or that of a file of statements
	Ours                  // our own threshold, for a statement without a figure
)

// String is the origin in words.
func (o Origin) String() string { return [...]string{"reported", "our threshold"}[o] }

// MarshalText is String.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Row is what is reported of one thing that can be measured or computed: its key, the statements it stands for, the limit,
// whose it is, and for ours why.
type Row struct {
	Key        string
	Statements []int
	Limit      Limit
	Origin     Origin
	Reason     string // of our threshold
	Text       string // of the statement, where a file of statements gives it
}

// Wants writes the limit of a row, as a bare number.
func (r Row) Wants() string { return r.Limit.text(plain) + " (" + r.Origin.String() + ")" }

// Reported are the rows by key.
type Reported map[string]Row

// articleRows are the article's figures, and our thresholds where it gives none. Figures are in the unit in which the row is
// written: parameters in 10⁹, memory in GB.
var articleRows = []Row{
	{Key: "parameters/llama-2-7b", Statements: []int{32}, Limit: figure(7)},
	{Key: "parameters/mistral-7b", Statements: []int{39}, Limit: figure(7)},
	{Key: "parameters/llama-3-8b", Statements: []int{1, 33}, Limit: figure(8)},
	{Key: "parameters/llama-2-13b", Statements: []int{34}, Limit: figure(13)},
	{Key: "parameters/codellama-34b", Statements: []int{35}, Limit: figure(34)},
	{Key: "parameters/yi-34b", Statements: []int{35}, Limit: figure(34)},
	{Key: "parameters/llama-2-70b", Statements: []int{36}, Limit: figure(70)},
	{Key: "parameters/llama-3-70b", Statements: []int{39}, Limit: figure(70)},
	{Key: "parameters/llama-3.1-405b", Statements: []int{37}, Limit: figure(405)},
	{Key: "parameters/deepseek-v3", Statements: []int{38}, Limit: figure(671)},
	{Key: "blocks-share/llama-2-7b", Statements: []int{28}, Limit: atLeast(0.8), Origin: Ours, Reason: "\"most by far\" is read as four fifths"},
	{Key: "embedding/llama-2-7b", Statements: []int{29}, Limit: figure(400)},
	{Key: "embedding-formula/llama-2-7b", Statements: []int{23}, Limit: exactly(1)},
	{Key: "output-formula/llama-2-7b", Statements: []int{27}, Limit: exactly(1)},
	{Key: "block/llama-2-7b", Statements: []int{30}, Limit: figure(200)},
	{Key: "layers/llama-2-7b", Statements: []int{30}, Limit: exactly(32)},
	{Key: "attention-matrices/llama-2-7b", Statements: []int{24}, Limit: exactly(4)},
	{Key: "matrices/llama-2-7b", Statements: []int{25}, Limit: exactly(2)},
	{Key: "matrices/gpt2", Statements: []int{25}, Limit: exactly(2)},
	{Key: "norms-share/llama-2-7b", Statements: []int{26}, Limit: atMost(0.01), Origin: Ours, Reason: "\"small\" is read as one in a hundred"},

	{Key: "fp16/llama-2-7b", Statements: []int{52}, Limit: figure(14)},
	{Key: "fp16/llama-3-8b", Statements: []int{53}, Limit: figure(16)},
	{Key: "fp16/llama-2-13b", Statements: []int{54}, Limit: figure(26)},
	{Key: "fp16/codellama-34b", Statements: []int{55}, Limit: figure(68)},
	{Key: "fp16/llama-2-70b", Statements: []int{56}, Limit: figure(140)},
	{Key: "fp16/llama-3.1-405b", Statements: []int{57}, Limit: figure(810)},
	{Key: "int4/llama-2-7b", Statements: []int{58}, Limit: figure(3.5)},
	{Key: "int4/llama-3-8b", Statements: []int{59}, Limit: figure(4)},
	{Key: "int4/llama-2-13b", Statements: []int{60}, Limit: figure(6.5)},
	{Key: "int4/codellama-34b", Statements: []int{61}, Limit: figure(17)},
	{Key: "int4/llama-2-70b", Statements: []int{62}, Limit: figure(35)},
	{Key: "int4/llama-3.1-405b", Statements: []int{63}, Limit: figure(203)},
	{Key: "fp16-resident", Statements: []int{51}, Limit: figure(2)},
	{Key: "q4-resident", Statements: []int{58}, Limit: between(0.9, 1.25), Origin: Ours, Reason: "the program itself is a part of small models' memory"},
	{Key: "overhead", Statements: []int{67}, Limit: atLeast(1), Origin: Ours, Reason: "more than 1 MB beside the weights counts as memory that is needed"},

	{Key: "cache-linear/context", Statements: []int{64}, Limit: isLinear()},
	{Key: "cache-linear/batch", Statements: []int{65}, Limit: isLinear()},
	{Key: "cache-slope/context", Statements: []int{64}, Limit: between(0.95, 1.05), Origin: Ours, Reason: "measured growth against that of the shape, within 5 %"},
	{Key: "cache-slope/batch", Statements: []int{65}, Limit: between(0.95, 1.35), Origin: Ours, Reason: "whole pages of the cache, and one more for each sequence, may add a third"},
	{Key: "cache-windows/gemma-3-1b", Statements: []int{64}, Limit: between(0.9, 1.1), Origin: Ours, Reason: "a cache that is linear in all layers takes as much for every token, give or take a tenth"},
	{Key: "cache-latents/deepseek-v2-small", Statements: []int{64}, Limit: between(0.9, 1.1), Origin: Ours, Reason: "a cache that is linear in all layers takes as much for every token, give or take a tenth"},
	{Key: "cache-states/mamba-130m", Statements: []int{64}, Limit: between(0.9, 1.1), Origin: Ours, Reason: "a cache that is linear in all layers takes as much for every token, give or take a tenth"},
	{Key: "cache-latent/deepseek-v3", Statements: []int{64}, Limit: atMost(0.1), Origin: Ours, Reason: "a tenth or less of the usual cache is no small difference"},
	{Key: "cache-grouped/llama-3-8b", Statements: []int{49}, Limit: atLeast(2), Origin: Ours, Reason: "half the cache or less counts as a help"},
	{Key: "cache-70b", Statements: []int{68}, Limit: atLeast(200)},
	{Key: "cache-70b-batch", Statements: []int{68}, Limit: atMost(8), Origin: Ours, Reason: "\"a decent batch\" is read as 8 sequences or fewer"},
	{Key: "cache-dominates", Statements: []int{66}, Limit: atLeast(1), Origin: Ours, Reason: "\"dominates\" is read as more than the weights"},

	{Key: "shrinks/q8_0", Statements: []int{69}, Limit: figure(2)},
	{Key: "shrinks/q4_k_m", Statements: []int{69}, Limit: figure(4)},
	{Key: "shrinks/q4_0", Statements: []int{69}, Limit: figure(4)},
	{Key: "loss/q8_0", Statements: []int{70}, Limit: atMost(0.01), Origin: Ours, Reason: "the article gives no figure; one in a hundred of the perplexity is little for 8 bits"},
	{Key: "loss/q4_k_m", Statements: []int{70}, Limit: atMost(0.05), Origin: Ours, Reason: "the article gives no figure; one in twenty is little for 4 bits"},
	{Key: "loss/q4_0", Statements: []int{70}, Limit: atMost(0.05), Origin: Ours, Reason: "the article gives no figure; one in twenty is little for 4 bits"},
	{Key: "latency/q8_0", Statements: []int{109}, Limit: atMost(1), Origin: Ours, Reason: "\"lower\" is read as: no longer than FP16"},
	{Key: "latency/q4_k_m", Statements: []int{109}, Limit: atMost(1), Origin: Ours, Reason: "\"lower\" is read as: no longer than FP16"},

	{Key: "time-linear", Statements: []int{72}, Limit: isLinear()},
	{Key: "slower-70b", Statements: []int{73}, Limit: between(3, 10)},

	{Key: "total/mixtral-8x7b", Statements: []int{78}, Limit: figure(46.7)},
	{Key: "total/mixtral-8x22b", Statements: []int{80}, Limit: figure(141)},
	{Key: "total/deepseek-v2", Statements: []int{82}, Limit: figure(236)},
	{Key: "total/deepseek-v3", Statements: []int{84}, Limit: figure(671)},
	{Key: "active/mixtral-8x7b", Statements: []int{79}, Limit: figure(12.9)},
	{Key: "active/mixtral-8x22b", Statements: []int{81}, Limit: figure(39)},
	{Key: "active/deepseek-v2", Statements: []int{83}, Limit: figure(21)},
	{Key: "active/deepseek-v3", Statements: []int{85}, Limit: figure(37)},
	{Key: "dense-active/llama-2-7b", Statements: []int{92}, Limit: exactly(1)},
	{Key: "experts-sum/mixtral-8x7b", Statements: []int{88}, Limit: between(0.999, 1)},
	{Key: "name/mixtral-8x7b", Statements: []int{88}, Limit: between(55, 57), Origin: Ours, Reason: "what the name 8x7B suggests, which the article does not say"},
	{Key: "speed-of-experts", Statements: []int{89}, Limit: between(0.8, 1.25), Origin: Ours, Reason: "four times the experts at the same speed, give or take a fifth"},
	{Key: "memory-of-experts", Statements: []int{90, 95}, Limit: between(0.9, 1.1), Origin: Ours, Reason: "memory grows as the total does, give or take a tenth"},

	{Key: "experts-active", Statements: []int{87, 96}, Limit: atMost(0.5), Origin: Ours, Reason: "\"a few\" is read as half or fewer"},
	{Key: "router-choices", Statements: []int{87}, Limit: atLeast(2), Origin: Ours, Reason: "a router that always chose the same would choose nothing"},
	{Key: "router-size", Statements: []int{86}, Limit: atMost(0.01), Origin: Ours, Reason: "\"small\" is read as one in a hundred"},
	{Key: "balance", Statements: []int{94}, Limit: atLeast(0.8), Origin: Ours, Reason: "1 is an equal load; below 0.8, of 8 experts 5 or fewer do the work"},
	{Key: "touched-by-32", Statements: []int{96}, Limit: atMost(0.5), Origin: Ours, Reason: "\"a fraction\" is read as half or fewer"},

	{Key: "paris-rank", Statements: []int{7}, Limit: exactly(1)},
	{Key: "east/west", Statements: []int{10}, Limit: atLeast(5), Origin: Ours, Reason: "\"far more probable\" is read as five times"},
	{Key: "east/north", Statements: []int{10}, Limit: atLeast(5), Origin: Ours, Reason: "\"far more probable\" is read as five times"},
	{Key: "east/south", Statements: []int{10}, Limit: atLeast(5), Origin: Ours, Reason: "\"far more probable\" is read as five times"},
	{Key: "uncertain", Statements: []int{14}, Limit: atLeast(0.001), Origin: Ours, Reason: "a database would have an entropy of 0"},
	{Key: "without-neurons", Statements: []int{3}, Limit: atMost(0.5), Origin: Ours, Reason: "parameters that take part matter when they are gone"},

	{Key: "latency-below-1b", Statements: []int{101, 107}, Limit: atMost(10)},
	{Key: "fits/1b-3b", Statements: []int{102}, Limit: atMost(1), Origin: Ours, Reason: "the article means a laptop; this is this machine"},
	{Key: "fits/7b-13b", Statements: []int{103}, Limit: atMost(1), Origin: Ours, Reason: "the article does not say on which machine; this is this one"},
	{Key: "fits/7b-33b", Statements: []int{104}, Limit: atMost(1), Origin: Ours, Reason: "the article does not say on which machine; this is this one"},
	{Key: "fits/8b-70b", Statements: []int{105}, Limit: atMost(1), Origin: Ours, Reason: "the article does not say on which machine; this is this one"},
	{Key: "fits/70b-405b", Statements: []int{106}, Limit: atMost(1), Origin: Ours, Reason: "the article expects an API; this is this machine"},
	{Key: "responsive/1b-3b", Statements: []int{102}, Limit: atMost(200), Origin: Ours, Reason: "5 tokens a second are about as fast as people read"},
	{Key: "responsive/7b-13b", Statements: []int{103}, Limit: atMost(200), Origin: Ours, Reason: "5 tokens a second are about as fast as people read"},
	{Key: "responsive/7b-33b", Statements: []int{104}, Limit: atMost(200), Origin: Ours, Reason: "5 tokens a second are about as fast as people read"},
	{Key: "responsive/8b-70b", Statements: []int{105}, Limit: atMost(200), Origin: Ours, Reason: "5 tokens a second are about as fast as people read"},
	{Key: "responsive/70b-405b", Statements: []int{106}, Limit: atMost(200), Origin: Ours, Reason: "5 tokens a second are about as fast as people read"},
	{Key: "smallest", Statements: []int{108}, Limit: atLeast(1), Origin: Ours, Reason: "one model that fits and is fast enough is enough to start with"},

	{Key: "devices-fp16/llama-2-7b", Statements: []int{74}, Limit: exactly(1)},
	{Key: "batch/llama-2-7b", Statements: []int{74}, Limit: atLeast(16), Origin: Ours, Reason: "\"large batches\" is read as 16 sequences of 2048 tokens"},
	{Key: "devices-fp16/llama-2-70b", Statements: []int{75}, Limit: between(2, 4)},
	{Key: "devices-fp16/llama-3.1-405b", Statements: []int{76}, Limit: atMost(8)},
	{Key: "devices-int8/llama-3.1-405b", Statements: []int{76}, Limit: atMost(8)},
	{Key: "devices-141gb/llama-3.1-405b", Statements: []int{76}, Limit: atMost(8)},
	{Key: "devices-saved/llama-2-70b", Statements: []int{71}, Limit: atLeast(1), Origin: Ours, Reason: "one accelerator fewer is fewer"},

	{Key: "trained", Statements: []int{5, 17}, Limit: atLeast(10), Origin: Ours, Reason: "ten times fewer equally likely tokens is more than chance"},
	{Key: "random-loss", Statements: []int{15, 18}, Limit: between(0.95, 1.1), Origin: Ours, Reason: "a model that knows nothing has the loss of an even choice, ln of the vocabulary, give or take"},
	{Key: "same-size", Statements: []int{40}, Limit: atLeast(2), Origin: Ours, Reason: "\"very differently\" is read as twice the perplexity"},
	{Key: "trained-east", Statements: []int{5}, Limit: atLeast(5), Origin: Ours, Reason: "five times as probable is more than chance"},
	{Key: "steps/tiny-dense", Statements: []int{21}, Limit: atLeast(1e12)},
	{Key: "steps/llama-3", Statements: []int{21}, Limit: atLeast(1e12)},

	{Key: "bound/token", Statements: []int{110}, Limit: atLeast(1), Origin: Ours, Reason: "above 1, reading takes longer than computing: bound by memory"},
	{Key: "bound/prompt", Statements: []int{110}, Limit: atMost(1), Origin: Ours, Reason: "below 1, computing takes longer than reading: bound by arithmetic"},
	{Key: "bound/moe", Statements: []int{93}, Limit: atLeast(1), Origin: Ours, Reason: "above 1, reading takes longer than computing: bound by memory"},
	{Key: "bound/moe-measured", Statements: []int{93}, Limit: atLeast(0.5), Origin: Ours, Reason: "if reading alone takes half of the time, memory is what bounds it"},

	{Key: "one-neuron", Statements: []int{8, 97}, Limit: exactly(0)},
	{Key: "one-neuron-specific", Statements: []int{97}, Limit: exactly(0)},
	{Key: "spread/10", Statements: []int{98}, Limit: atLeast(0.5), Origin: Ours, Reason: "what is spread out survives the loss of a tenth, at least by half"},

	{Key: "weights-finite", Statements: []int{2}, Limit: exactly(1)},
	{Key: "weights-like", Statements: []int{2}, Limit: figure(0.00231)},
	{Key: "weights-distinct", Statements: []int{2}, Limit: atLeast(1000), Origin: Ours, Reason: "numbers that are learnt are many different ones"},

	{Key: "compress/gzip", Statements: []int{6}, Limit: atMost(1), Origin: Ours, Reason: "a model of the text predicts it better than a general compressor"},
	{Key: "compress/xz", Statements: []int{6}, Limit: atMost(1), Origin: Ours, Reason: "a model of the text predicts it better than a general compressor"},
	{Key: "lossy", Statements: []int{6}, Limit: atMost(0.5), Origin: Ours, Reason: "a lossless archive would give every sentence back"},
	{Key: "parameters-per-fact", Statements: []int{9}, Limit: atLeast(2), Origin: Ours, Reason: "one fact for each parameter would be 1"},

	{Key: "invented-entropy", Statements: []int{13}, Limit: atLeast(1), Origin: Ours, Reason: "above 1 the model is less sure of what does not exist"},
	{Key: "invented-answered", Statements: []int{13}, Limit: atLeast(0.25), Origin: Ours, Reason: "one answer in four with a real city's name is more than an accident"},
	{Key: "novel", Statements: []int{11}, Limit: atLeast(1), Origin: Ours, Reason: "one that cannot be expected in any training text shows that there are such"},
	{Key: "novel-ngrams", Statements: []int{11}, Limit: atLeast(0.01), Origin: Ours, Reason: "one run of words in a hundred that the text lacks"},
}

// Reading returns what the article reports, and our thresholds.
func Reading() Reported {
	r := Reported{}
	for _, row := range articleRows {
		r[row.Key] = row
	}
	return r
}

// under are the rows whose key begins with prefix and a slash, by what follows it.
func (r Reported) under(prefix string) map[string]Row {
	some := map[string]Row{}
	for key, row := range r {
		if rest, ok := strings.CutPrefix(key, prefix+"/"); ok {
			some[rest] = row
		}
	}
	return some
}

// Keys are the keys of the rows in the order of the article's table, further ones in alphabetical order after them.
func (r Reported) Keys() []string {
	place := map[string]int{}
	for i, row := range articleRows {
		place[row.Key] = i - len(articleRows)
	}
	return slices.SortedFunc(maps.Keys(r), func(a, b string) int { return cmp.Or(place[a]-place[b], strings.Compare(a, b)) })
}
