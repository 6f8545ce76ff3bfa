package claims

import "math"

// Said are the figures that articles give.
type Said struct {
	Parameters  map[string]float64    // in 10⁹, by known model
	FeedForward Range                 // share of the parameters of a 7B model
	Embedding   float64               // parameters of the embedding of Llama 2 7B
	Block       float64               // of one of its blocks
	Matrices    float64               // in its feed-forward block
	FP16, INT4  map[string]float64    // GB, by known model
	CacheGrowth Range                 // R² of a straight line
	Cache70B    Range                 // GB, of a 70B model with a batch of contexts of 32k
	Shrinks     Range                 // the factor by which quantising makes a model smaller
	Loss        Range                 // the share by which perplexity grows, for a loss that is called minimal
	Linear      Range                 // R² of time per token over parameters
	Slower70B   Range                 // how many times slower 70B is than 7B
	Activated   map[string][2]float64 // total and active, in 10⁹
	SameSpeed   Range                 // speed with many experts over that with few, as many being active
	Chosen      float64               // experts that tiny-moe chooses for a token
	Balance     Range                 // of the load
	East        Range                 // how many times more probable "east" is than any other direction
	OneNeuron   Range                 // what is left of the probability of "east" without any one neuron
	Grouped     map[string]float64    // the factor by which grouped-query attention shrinks the cache
	Devices     map[string]Range      // of 80 GB, that a known model needs in FP16
	Trained     Range                 // how many times a random model's perplexity is a trained one's
	DecodeBound Range                 // the time of reading over that of calculating, for a token
	PromptBound Range                 // likewise for a prompt of 512
}

// Article is what articles about parameters say.
func Article() Said {
	inf := math.Inf(1)
	return Said{
		Parameters:  map[string]float64{"llama-2-7b": 7, "llama-3-8b": 8, "llama-2-13b": 13, "codellama-34b": 34, "yi-34b": 34, "llama-2-70b": 70, "llama-3.1-405b": 405, "deepseek-v3": 671},
		FeedForward: is(2. / 3), Embedding: 400e6, Block: 200e6, Matrices: 2,
		FP16:        map[string]float64{"llama-2-7b": 14, "llama-3-8b": 16, "llama-2-13b": 26, "codellama-34b": 68, "llama-2-70b": 140, "llama-3.1-405b": 810},
		INT4:        map[string]float64{"llama-2-7b": 3.5, "llama-3-8b": 4, "llama-2-13b": 6.5, "codellama-34b": 17, "llama-2-70b": 35, "llama-3.1-405b": 203},
		CacheGrowth: between(0.98, 1), Cache70B: between(200, inf),
		Shrinks: between(2, 4), Loss: between(-inf, 0.05),
		Linear: between(0.95, 1), Slower70B: between(3, 10),
		Activated: map[string][2]float64{"mixtral-8x7b": {46.7, 12.9}, "mixtral-8x22b": {141, 39}, "deepseek-v2": {236, 21}, "deepseek-v3": {671, 37}},
		SameSpeed: between(0.8, 1.25), Chosen: 2, Balance: between(0.8, 1),
		East: between(5, inf), OneNeuron: between(0.5, inf),
		Grouped: map[string]float64{"llama-2-7b": 1, "mistral-7b": 4, "llama-3-8b": 4, "llama-2-70b": 8, "llama-3.1-405b": 16},
		Devices: map[string]Range{"llama-2-7b": pieces(1), "llama-2-70b": between(2, 4), "llama-3.1-405b": pieces(8)},
		Trained: between(10, inf), DecodeBound: between(1, inf), PromptBound: between(0, 1),
	}
}

// unmeasurable are statements of such articles that no measurement on one machine can judge, and why.
var unmeasurable = [][2]string{
	{"Larger models are more capable: tables of what 7B, 13B, 70B and 405B models can do", "capability is measured by benchmarks on trained models of these sizes, which are not part of this program"},
	{"Scaling laws: the loss falls as a power of parameters, data and compute", "it takes many models, trained alike (Kaplan et al. 2020, arXiv:2001.08361; Hoffmann et al. 2022, arXiv:2203.15556)"},
	{"Abilities emerge beyond some size", "likewise"},
	{"What an hour, or a million tokens, costs", "prices are no property of a machine"},
	{"What training costs in time, energy and money", "nothing is trained here"},
	{"Parameters store what a model knows", "claims 8 and 11 show what can be seen of it: weights that are trained answer, and no single one holds the answer"},
}
