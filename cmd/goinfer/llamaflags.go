package main

// flagTable are flags of llama.cpp's programs, by what becomes of them. On a line stand the
// spellings of one flag, then N if it takes a value, or ? if it may take one, which is then on,
// off, auto or a number, and after = the values that ask for what happens here anyway.
//
// A flag that a command does have is that command's, whatever stands here.
type flagTable struct {
	commands []string // the commands that it is for; none means all
	same     string   // flags that ask for what happens here anyway
	noEffect string   // flags that change where, how fast or how verbosely llama.cpp computes
	refused  []refusal
}

// refusal are flags that would change the result or make files, with what to say about them.
type refusal struct{ why, flags string }

// llamaTables hold the flags of llama-cli, llama-completion, llama-perplexity, llama-bench,
// llama-batched-bench, llama-imatrix, llama-quantize and llama-embedding (common/arg.cpp and the
// sources of the programs, at commit 3f545becc of llama.cpp). The first that has a flag counts.
var llamaTables = []flagTable{
	{
		commands: []string{"bench"},
		same: `
-lm --load-mode N =auto =mmap
-mmp --mmap N =1
-dio --direct-io N =0
-nkvo --no-kv-offload N =1
-nopo --no-op-offload N =1
-fa --flash-attn N =on =1 =auto =-1
-ngl --n-gpu-layers --gpu-layers N =0 =auto
-dev --device N =none =auto
-ncmoe --n-cpu-moe N =0
--progress
`,
		noEffect: `
--no-host N =0
-rpc N
-c --ctx-size N
-tb --threads-batch N
-v --verbose
`,
		refused: []refusal{
			{"a model that reads texts whole is measured by -p alone", `
-embd --embeddings N =0
`},
			{"each sequence has its own prompt, and one after another is generated", `
-pps
-tgs
`},
			{"want -o for the format", `
--output-format N
`},
		},
	},
	{
		commands: []string{"perplexity", "imatrix"},
		noEffect: `
-n --predict --n-predict N
-s --seed N
-l --logit-bias N
-j --json-schema N
-jf --json-schema-file N
--grammar N
--grammar-file N
--samplers N
--ignore-eos
--temp --temperature N
--top-k N
--top-p N
--min-p N
--top-nsigma --top-n-sigma N
--xtc-probability N
--xtc-threshold N
--typical --typical-p N
--repeat-last-n N
--repeat-penalty N
--presence-penalty N
--frequency-penalty N
--dry-multiplier N
--dry-base N
--dry-allowed-length N
--dry-penalty-last-n N
--dry-sequence-breaker N
--dynatemp-range N
--dynatemp-exp N
--mirostat N
--mirostat-lr N
--mirostat-ent N
-ofreq --output-frequency N
--save-frequency N
--ppl
--no-ppl
`,
		refused: []refusal{
			{"want --kl BASE, which compares with another model", `
--kl-divergence
--kl-divergence-base --save-all-logits N
`},
			{"want --score, which scores continuations, one a line", `
--hellaswag
--hellaswag-tasks N
--winogrande
--winogrande-tasks N
--multiple-choice
--multiple-choice-tasks N
`},
			{"chunks follow one another, and the second half of each is scored", `
--ppl-stride N =0
--ppl-output-type N =0
`},
			{"the importance of the output matrix is not measured, nor are parts of a text", `
--process-output
--chunk --from-chunk N =0
--in-file N
--show-statistics
`},
		},
	},
	{
		commands: []string{"quantize"},
		refused: []refusal{
			{"types are chosen by the file type and by --tensor-type, --output-tensor-type and --token-embedding-type", `
--leave-output-tensor
--tensor-type-file N
--include-weights N
--exclude-weights N
`},
			{"every layer and one file are written", `
--prune-layers N
--keep-split
`},
		},
	},
	{
		commands: []string{"embed"},
		refused: []refusal{
			{"want --raw for the vector before it is brought to length 1", `
--embd-normalize N =2
`},
			{"an embedding is an array of JSON on one line", `
--embd-output-format N
--embd-separator N
--cls-separator N
`},
		},
	},
	{
		same: `
-fa --flash-attn ? =on =1 =true =enabled =auto =-1
-ngl --gpu-layers --n-gpu-layers N =0 =auto
-np --parallel N =1 =-1
-co --color ?
-no-cnv --no-conversation
-st --single-turn
-ndio --no-direct-io
-nr --no-repack
-nkvo --no-kv-offload
--mmap
--no-display-prompt
--no-escape
--simple-io
--log-disable
--no-perf
--no-show-timings
--offline
--no-warmup
--no-context-shift
--no-mmproj --no-mmproj-auto
--no-jinja
--skip-chat-parsing
--no-op-offload
--no-log-prefix
--no-log-timestamps
--device -dev N =none
`,
		noEffect: `
-mg --main-gpu N
-sm --split-mode N =none
-ts --tensor-split N
-ot --override-tensor N
-cmoe --cpu-moe
-ncmoe --n-cpu-moe N
-kvo --kv-offload
-kvu --kv-unified
-no-kvu --no-kv-unified
-fit --fit N =off
-fitt --fit-target N
-fitc --fit-ctx N
-fitp --fit-print N =off
-C --cpu-mask N
-Cr --cpu-range N
-Cb --cpu-mask-batch N
-Crb --cpu-range-batch N
-dt --defrag-thold N
-ctxcp --ctx-checkpoints --swa-checkpoints N
-cms --checkpoint-min-step N
-cram --cache-ram N
-bs --backend-sampling
-cb --cont-batching
-nocb --no-cont-batching
-lv --verbosity --log-verbosity N
-v --verbose --log-verbose
-ptc --print-token-count N
-lcs --lookup-cache-static N
-lcd --lookup-cache-dynamic N
--cache-idle-slots
--no-cache-idle-slots
--cpu-strict N =0
--cpu-strict-batch N =0
--prio N =0
--prio-batch N =0
--poll N =0
--poll-batch N =0
--numa N
--repack
--no-host
--op-offload
--rpc N
--check-tensors
--swa-full
--keep N =0
--warmup
--perf
--show-timings
--verbose-prompt
--jinja
--no-skip-chat-parsing
--mmproj-auto
--mmproj-offload
--no-mmproj-offload
-mmdev --mmproj-device N
--image-min-tokens N
--image-max-tokens N
--log-file N
--log-colors N
--log-prefix
--log-timestamps
--log-prompts-dir N
--progress
-md --model-draft --spec-draft-model N
-hfd -hfrd --hf-repo-draft --spec-draft-hf N
-td --threads-draft --spec-draft-threads N
-tbd --threads-batch-draft --spec-draft-threads-batch N
-Cd --cpu-mask-draft --spec-draft-cpu-mask N
-Crd --cpu-range-draft --spec-draft-cpu-range N
-Cbd --cpu-mask-batch-draft --spec-draft-cpu-mask-batch N
-Crbd --cpu-range-batch-draft --spec-draft-cpu-range-batch N
--cpu-strict-draft --spec-draft-cpu-strict N
--cpu-strict-batch-draft --spec-draft-cpu-strict-batch N
--prio-draft --spec-draft-prio N
--prio-batch-draft --spec-draft-prio-batch N
--poll-draft --spec-draft-poll N
--poll-batch-draft --spec-draft-poll-batch N
-ctkd --cache-type-k-draft --spec-draft-type-k N
-ctvd --cache-type-v-draft --spec-draft-type-v N
-otd --override-tensor-draft --spec-draft-override-tensor N
-cmoed --cpu-moe-draft --spec-draft-cpu-moe
-ncmoed --n-cpu-moe-draft --spec-draft-n-cpu-moe --spec-draft-ncmoe N
-devd --device-draft --spec-draft-device N
-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl N
--draft --draft-n --draft-max --spec-draft-n-max N
--draft-min --draft-n-min --spec-draft-n-min N
--draft-p-split --spec-draft-p-split N
--draft-p-min --spec-draft-p-min N
--spec-draft-backend-sampling
--no-spec-draft-backend-sampling
--spec-default
--spec-type N =none
--spec-ngram-mod-n-min N
--spec-ngram-mod-n-max N
--spec-ngram-mod-n-match N
--spec-ngram-simple-size-n N
--spec-ngram-simple-size-m N
--spec-ngram-simple-min-hits N
--spec-ngram-map-k-size-n N
--spec-ngram-map-k-size-m N
--spec-ngram-map-k-min-hits N
--spec-ngram-map-k4v-size-n N
--spec-ngram-map-k4v-size-m N
--spec-ngram-map-k4v-min-hits N
`,
		refused: []refusal{
			{"this command continues one text as it stands and applies no chat template", `
-sys --system-prompt N
-sysf --system-prompt-file N
-cnv --conversation
-i --interactive
-if --interactive-first
-mli --multiline-input
--in-prefix N
--in-suffix N
--in-prefix-bos
--chat-template N
--chat-template-file N
--chat-template-kwargs N
-rea --reasoning N
--reasoning-format N
--reasoning-effort N
--reasoning-budget N
--reasoning-budget-message N
--reasoning-preserve
--no-reasoning-preserve
--prefill-assistant
--no-prefill-assistant
`},
			{"a model is a path, a name that goinfer pull fetched, or -hf OWNER/REPO:TYPE", `
-hf -hfr --hf-repo N
-hff --hf-file N
-hft --hf-token N
-mu --model-url N
-dr --docker-repo N
-cl --cache-list
--gpt-oss-20b-default
--gpt-oss-120b-default
--vision-gemma-4b-default
--vision-gemma-12b-default
`},
			{"models are given text alone", `
-mm --mmproj N
-mmu --mmproj-url N
--image --audio --video N
`},
			{"adapters and control vectors are not applied", `
--lora N
--lora-scaled N
--control-vector N
--control-vector-scaled N
--control-vector-layer-range N
`},
			{"generation ends where the context is full; -c makes it larger", `
--context-shift
-gan --grp-attn-n N
-gaw --grp-attn-w N
`},
			{"what a prompt leaves in the cache is not saved", `
--prompt-cache N
--prompt-cache-all
--prompt-cache-ro
`},
			{"want --samplers with the names of the samplers", `
--sampler-seq --sampling-seq N
`},
			{"there is no such sampler", `
--adaptive-target N
--adaptive-decay N
`},
			{"the text that is generated goes to standard output, without the prompt", `
--display-prompt
-o --output --output-file N
`},
			{"the model runs in this process", `
--server-base N
`},
			{"'goinfer version' shows the version", `
--version
--license
`},
			{"'goinfer doctor' shows the machine", `
--list-devices
`},
			{"'goinfer completion bash' writes the script", `
--completion-bash
`},
			{"how a text is read is a matter of the model", `
--attention N
`},
		},
	},
}
