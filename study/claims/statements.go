package claims

// Kind is how a statement of the article is treated.
type Kind uint8

// The kinds.
const (
	Measured Kind = iota // on a model that runs here
	Computed             // from the published shape of a model
	Opinion              // or not measurable here, for the reason given
)

// String is the kind in words.
func (k Kind) String() string {
	return [...]string{"measured here", "computed from published shapes", "not measurable here"}[k]
}

// MarshalText is String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Statement is one checkable statement of the article, in our words.
type Statement struct {
	ID     int    `json:"id"`
	Text   string `json:"text"`
	Kind   Kind   `json:"kind"`
	Claim  int    `json:"claim"`            // where it is shown
	Remark string `json:"remark,omitempty"` // why it is not measurable, or what the article has wrong or too simple
}

const (
	needsTraining  = "it takes training runs; nothing is trained here"
	needsBenchmark = "capability is measured by benchmarks on trained models of these sizes, which do not come with this program"
)

// Statements are those of the article. A test holds that each has a row, or a reason.
var Statements = []Statement{
	{1, "Llama 3 8B has about 8 billion parameters.", Computed, 1, ""},
	{2, "Parameters are floating-point numbers, such as 0.00231 or -1.4582.", Measured, 14, ""},
	{3, "Parameters take part in the computation that turns input into predictions.", Measured, 8, ""},
	{4, "Training changes each parameter a little at a time.", Opinion, 17, needsTraining},
	{5, "Trained parameters hold the patterns of language.", Measured, 11, ""},
	{6, "A model is a lossy compression of the text it was trained on.", Measured, 15, ""},
	{7, "After \"The capital of France is\", Paris is the most probable word.", Measured, 8, ""},
	{8, "Parameters are no database of facts.", Measured, 13, "facts that hang on one neuron are found; what that neuron does beside is shown with them"},
	{9, "A model of 70 billion parameters does not store 70 billion facts.", Measured, 15, ""},
	{10, "After \"The sun rises in the\", east is far more probable than west or north.", Measured, 8, ""},
	{11, "Models write sentences that their training text does not contain.", Measured, 16, ""},
	{12, "Models blend ideas of distant fields.", Opinion, 17, "whether a text blends ideas is for a reader to judge"},
	{13, "Asked for what is rare, a model answers plausibly and wrongly.", Measured, 16, ""},
	{14, "What a model knows is a matter of probabilities.", Measured, 8, ""},
	{15, "Training starts from random parameters.", Measured, 11, ""},
	{16, "Sequences of the training text are fed in.", Opinion, 17, needsTraining},
	{17, "The model has to predict the next token.", Measured, 11, ""},
	{18, "How wrong it is gives the loss.", Measured, 11, ""},
	{19, "Backpropagation finds how each parameter should change.", Opinion, 17, needsTraining},
	{20, "All parameters are changed a little, to lower the loss.", Opinion, 17, needsTraining},
	{21, "This is repeated trillions of times.", Computed, 11, "wrong: trillions is the number of tokens; steps are thousands for a small model and about a million for a large one"},
	{22, "Fine-tuning and alignment change the parameters further.", Opinion, 17, needsTraining},
	{23, "The embedding has vocabulary × width parameters.", Computed, 1, ""},
	{24, "Attention has query, key, value and output matrices.", Computed, 1, "with grouped queries those of keys and values are smaller"},
	{25, "The feed-forward block has two matrices.", Computed, 1, "too simple: two in GPT-2, three in Llama and most models since"},
	{26, "Norms hold small vectors of scales and biases.", Computed, 1, "RMS norms have no bias"},
	{27, "The output projection has width × vocabulary parameters.", Computed, 1, "some models share it with the embedding"},
	{28, "Most parameters by far are in feed-forward blocks and attention.", Computed, 1, ""},
	{29, "The embedding of Llama 2 7B has about 400 million parameters.", Computed, 1, "wrong: 131 million, or 262 million together with the output matrix"},
	{30, "Llama 2 7B has 32 blocks of about 200 million parameters.", Computed, 1, ""},
	{31, "Attention weights learn context, feed-forward weights transform tokens.", Opinion, 17,
		"goinfer explain takes either out of any layer; what a part has learnt is an interpretation of that"},
	{32, "7B stands for about 7 billion parameters.", Computed, 1, ""},
	{33, "8B stands for about 8 billion.", Computed, 1, ""},
	{34, "13B stands for about 13 billion.", Computed, 1, ""},
	{35, "34B stands for about 34 billion.", Computed, 1, ""},
	{36, "70B stands for about 70 billion.", Computed, 1, ""},
	{37, "405B stands for about 405 billion.", Computed, 1, ""},
	{38, "671B is the total of a mixture of experts.", Computed, 1, ""},
	{39, "Mistral 7B and Llama 3 70B are named by their size.", Computed, 1, ""},
	{40, "Two models with as many parameters can behave very differently.", Measured, 11, ""},
	{41, "Larger models see subtler patterns.", Opinion, 17, needsBenchmark},
	{42, "Larger models reason better.", Opinion, 17, needsBenchmark},
	{43, "Larger models know more.", Opinion, 17, needsBenchmark},
	{44, "Larger models follow instructions better.", Opinion, 17, needsBenchmark},
	{45, "Abilities emerge with size.", Opinion, 17, needsBenchmark},
	{46, "Performance rises smoothly with parameters, data and compute.", Opinion, 17,
		"it takes many models, trained alike (Kaplan et al. 2020, arXiv:2001.08361; Hoffmann et al. 2022, arXiv:2203.15556)"},
	{47, "Each doubling of the parameters brings less.", Opinion, 17, "it takes many models, trained alike"},
	{48, "The quality of data brings more than size.", Opinion, 17, needsTraining},
	{49, "Grouped-query attention and the like let small models compete.", Computed, 3, "what is computed is how much cache grouped queries save; whether a model competes is for benchmarks"},
	{50, "Llama 3 8B rivals old 70B models, by more and better training.", Opinion, 17, needsBenchmark},
	{51, "In FP16 each parameter takes 2 bytes.", Measured, 2, ""},
	{52, "7B takes 14 GB in FP16.", Computed, 2, ""},
	{53, "8B takes 16 GB in FP16.", Computed, 2, ""},
	{54, "13B takes 26 GB in FP16.", Computed, 2, ""},
	{55, "34B takes 68 GB in FP16.", Computed, 2, ""},
	{56, "70B takes 140 GB in FP16.", Computed, 2, ""},
	{57, "405B takes 810 GB in FP16.", Computed, 2, ""},
	{58, "7B takes about 3.5 GB in INT4.", Computed, 2, "files in 4 bits are larger: they store a scale with every block, and some tensors in more bits"},
	{59, "8B takes about 4 GB in INT4.", Computed, 2, ""},
	{60, "13B takes about 6.5 GB in INT4.", Computed, 2, ""},
	{61, "34B takes about 17 GB in INT4.", Computed, 2, ""},
	{62, "70B takes about 35 GB in INT4.", Computed, 2, ""},
	{63, "405B takes about 203 GB in INT4.", Computed, 2, ""},
	{64, "The cache of keys and values grows linearly with the context.", Measured, 3, "too simple: windows, latents and recurrent states grow less, or not at all"},
	{65, "The cache grows linearly with the batch.", Measured, 3, ""},
	{66, "For long contexts the cache often takes more than the weights.", Computed, 3, ""},
	{67, "Inference also needs memory for activations and overhead.", Measured, 2, ""},
	{68, "70B with a context of 32k and a decent batch needs 200 GB and more.", Computed, 3, "Llama 2 70B has a context of 4096 only; Llama 3.1 70B is taken"},
	{69, "INT8 or INT4 make the weights 2 to 4 times smaller.", Measured, 4, ""},
	{70, "Quantisation loses little accuracy.", Measured, 4, ""},
	{71, "Quantised, a model needs fewer accelerators.", Computed, 10, ""},
	{72, "Time per token grows roughly linearly with parameters.", Measured, 5, ""},
	{73, "70B takes 3 to 10 times as long per token as 7B.", Measured, 5, ""},
	{74, "One H100 serves 7B with large batches.", Computed, 10, ""},
	{75, "70B often needs 2 to 4 accelerators.", Computed, 10, ""},
	{76, "405B might need a node of 8 accelerators.", Computed, 10, "in 8 bits, or with 141 GB each; in FP16 it does not fit 8 of 80 GB"},
	{77, "Such a node costs hundreds of dollars an hour.", Opinion, 17, "prices are no property of a machine"},
	{78, "Mixtral 8x7B has 46.7 billion parameters.", Computed, 6, ""},
	{79, "12.9 billion of them are active.", Computed, 6, ""},
	{80, "Mixtral 8x22B has 141 billion.", Computed, 6, ""},
	{81, "39 billion of them are active.", Computed, 6, ""},
	{82, "DeepSeek-V2 has 236 billion.", Computed, 6, ""},
	{83, "21 billion of them are active.", Computed, 6, ""},
	{84, "DeepSeek-V3 and R1 have 671 billion.", Computed, 6, ""},
	{85, "37 billion of them are active.", Computed, 6, ""},
	{86, "The router is a small network.", Measured, 7, ""},
	{87, "The router chooses the best few experts for each token.", Measured, 7, ""},
	{88, "The total is the sum of all experts' parameters.", Computed, 6, "wrong: attention, embedding, norms and routers are in the total too; and 8x7B is not 56 billion, since the experts share these"},
	{89, "The cost of a token goes with the active parameters.", Measured, 6, ""},
	{90, "Memory goes with the total.", Measured, 6, ""},
	{91, "A mixture reaches the quality of a much larger dense model.", Opinion, 17, "it takes models trained alike; the two built-in ones saw different numbers of tokens"},
	{92, "A dense model uses all its parameters for every token.", Computed, 6, ""},
	{93, "A mixture of experts is bound by memory.", Measured, 12, ""},
	{94, "The load of the experts has to be balanced.", Measured, 7, ""},
	{95, "All experts must be in memory.", Measured, 6, ""},
	{96, "Only a fraction of the parameters is active for an input.", Measured, 7, "true of one token; a batch of 32 touches nearly all experts"},
	{97, "There is no Paris neuron.", Measured, 13, "too simple: some facts of small models hang on one neuron"},
	{98, "Knowledge is spread over millions of weights.", Measured, 13, ""},
	{99, "Small models are useful for many tasks.", Opinion, 17, "useful is for the user to judge"},
	{100, "Larger models imitate understanding and do not understand.", Opinion, 17, "a matter of philosophy"},
	{101, "Keyboard prediction takes models below 1B.", Measured, 9, ""},
	{102, "A local assistant on a laptop takes 1B to 3B.", Measured, 9, ""},
	{103, "A support chatbot takes 7B to 13B.", Measured, 9, ""},
	{104, "A coding assistant takes 7B to 33B.", Measured, 9, ""},
	{105, "A company's assistant with retrieval takes 8B to 70B.", Measured, 9, ""},
	{106, "Advanced reasoning and research take 70B to 405B and more.", Measured, 9, ""},
	{107, "Below 1B a token takes less than 10 ms.", Measured, 9, ""},
	{108, "Start with the smallest model that will do.", Measured, 9, ""},
	{109, "Quantisation lowers memory and latency.", Measured, 4, ""},
	{110, "The speed of inference is set by parameters, memory and arithmetic.", Measured, 12, ""},
}
