package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namesOf are the flags that llama.cpp's programs list at commit 3f545becc, with "=" after those
// that take a value.
var namesOf = map[string]string{
	"run": `
-h --help --usage --version -cl --cache-list --completion-bash --server-base= --verbose-prompt
--display-prompt --no-display-prompt -co= --color= -t= --threads= -tb= --threads-batch= -C=
--cpu-mask= -Cr= --cpu-range= --cpu-strict= --prio= --poll= -Cb= --cpu-mask-batch= -Crb=
--cpu-range-batch= --cpu-strict-batch= --prio-batch= --poll-batch= -c= --ctx-size= -n= --predict=
--n-predict= -b= --batch-size= -ub= --ubatch-size= --keep= --swa-full -ctxcp= --ctx-checkpoints=
--swa-checkpoints= -cram= --cache-ram= --context-shift --no-context-shift -fa= --flash-attn= -p=
--prompt= -sys= --system-prompt= --perf --no-perf --show-timings --no-show-timings -f= --file=
-sysf= --system-prompt-file= -bf= --binary-file= -e --escape --no-escape -ptc=
--print-token-count= --prompt-cache= --prompt-cache-all --prompt-cache-ro -r= --reverse-prompt=
-sp --special -cnv --conversation -no-cnv --no-conversation -st --single-turn -i --interactive
-if --interactive-first -mli --multiline-input --in-prefix-bos --in-prefix= --in-suffix= --warmup
--no-warmup --samplers= -s= --seed= --sampler-seq= --sampling-seq= --ignore-eos --temp=
--temperature= --top-k= --top-p= --min-p= --top-nsigma= --top-n-sigma= --xtc-probability=
--xtc-threshold= --typical= --typical-p= --repeat-last-n= --repeat-penalty= --presence-penalty=
--frequency-penalty= --dry-multiplier= --dry-base= --dry-allowed-length= --dry-penalty-last-n=
--dry-sequence-breaker= --adaptive-target= --adaptive-decay= --dynatemp-range= --dynatemp-exp=
--mirostat= --mirostat-lr= --mirostat-ent= -l= --logit-bias= --grammar= --grammar-file= -j=
--json-schema= -jf= --json-schema-file= -bs --backend-sampling --rope-scaling= --rope-scale=
--rope-freq-base= --rope-freq-scale= --yarn-orig-ctx= --yarn-ext-factor= --yarn-attn-factor=
--yarn-beta-slow= --yarn-beta-fast= -gan= --grp-attn-n= -gaw= --grp-attn-w= -kvo --kv-offload
-nkvo --no-kv-offload --repack -nr --no-repack --no-host -ctk= --cache-type-k= -ctv=
--cache-type-v= -dt= --defrag-thold= -np= --parallel= -mm= --mmproj= -mmu= --mmproj-url=
--mmproj-auto --no-mmproj --no-mmproj-auto --mmproj-offload --no-mmproj-offload --image= --audio=
--video= --image-min-tokens= --image-max-tokens= --rpc= --mlock --mmap --no-mmap -dio --direct-io
-ndio --no-direct-io -lm= --load-mode= --numa= -dev= --device= --list-devices -ot=
--override-tensor= -cmoe --cpu-moe -ncmoe= --n-cpu-moe= -ngl= --gpu-layers= --n-gpu-layers= -sm=
--split-mode= -ts= --tensor-split= -mg= --main-gpu= -fit= --fit= -fitt= --fit-target= -fitc=
--fit-ctx= --check-tensors --override-kv= --op-offload --no-op-offload --lora= --lora-scaled=
--control-vector= --control-vector-scaled= --control-vector-layer-range= -m= --model= -mu=
--model-url= -dr= --docker-repo= -hf= -hfr= --hf-repo= -hff= --hf-file= -hft= --hf-token= -o=
--output= --output-file= --chat-template-kwargs= --jinja --no-jinja --reasoning-format= -rea=
--reasoning= --reasoning-effort= --reasoning-budget= --reasoning-budget-message=
--reasoning-preserve --no-reasoning-preserve --chat-template= --chat-template-file=
--skip-chat-parsing --no-skip-chat-parsing --simple-io --log-disable --log-file=
--log-prompts-dir= --log-colors= -v --verbose --log-verbose --offline -lv= --verbosity=
--log-verbosity= --log-prefix --no-log-prefix --log-timestamps --no-log-timestamps
--spec-draft-hf= -hfd= -hfrd= --hf-repo-draft= --spec-draft-threads= -td= --threads-draft=
--spec-draft-threads-batch= -tbd= --threads-batch-draft= --spec-draft-cpu-mask= -Cd=
--cpu-mask-draft= --spec-draft-cpu-range= -Crd= --cpu-range-draft= --spec-draft-cpu-strict=
--cpu-strict-draft= --spec-draft-prio= --prio-draft= --spec-draft-poll= --poll-draft=
--spec-draft-cpu-mask-batch= -Cbd= --cpu-mask-batch-draft= --spec-draft-cpu-strict-batch=
--cpu-strict-batch-draft= --spec-draft-prio-batch= --prio-batch-draft= --spec-draft-poll-batch=
--poll-batch-draft= --spec-draft-type-k= -ctkd= --cache-type-k-draft= --spec-draft-type-v= -ctvd=
--cache-type-v-draft= --spec-draft-override-tensor= -otd= --override-tensor-draft=
--spec-draft-cpu-moe -cmoed --cpu-moe-draft --spec-draft-n-cpu-moe= --spec-draft-ncmoe= -ncmoed=
--n-cpu-moe-draft= --spec-draft-n-max= --spec-draft-n-min= --spec-draft-p-split= --draft-p-split=
--spec-draft-p-min= --draft-p-min= --spec-draft-backend-sampling --no-spec-draft-backend-sampling
--spec-draft-device= -devd= --device-draft= --spec-draft-ngl= -ngld= --gpu-layers-draft=
--n-gpu-layers-draft= --spec-draft-model= -md= --model-draft= --spec-type=
--spec-ngram-mod-n-min= --spec-ngram-mod-n-max= --spec-ngram-mod-n-match=
--spec-ngram-simple-size-n= --spec-ngram-simple-size-m= --spec-ngram-simple-min-hits=
--spec-ngram-map-k-size-n= --spec-ngram-map-k-size-m= --spec-ngram-map-k-min-hits=
--spec-ngram-map-k4v-size-n= --spec-ngram-map-k4v-size-m= --spec-ngram-map-k4v-min-hits= --draft=
--draft-n= --draft-max= --draft-min= --draft-n-min= --gpt-oss-20b-default --gpt-oss-120b-default
--vision-gemma-4b-default --vision-gemma-12b-default --spec-default`,
	"perplexity": `
-h --help --usage --version -cl --cache-list --completion-bash -t= --threads= -tb=
--threads-batch= -C= --cpu-mask= -Cr= --cpu-range= --cpu-strict= --prio= --poll= -Cb=
--cpu-mask-batch= -Crb= --cpu-range-batch= --cpu-strict-batch= --prio-batch= --poll-batch= -c=
--ctx-size= -n= --predict= --n-predict= -b= --batch-size= -ub= --ubatch-size= --keep= --swa-full
-kvu --kv-unified -no-kvu --no-kv-unified --context-shift --no-context-shift --chunks= -fa=
--flash-attn= -p= --prompt= --perf --no-perf -f= --file= -bf= --binary-file= -e --escape
--no-escape --warmup --no-warmup --samplers= -s= --seed= --sampler-seq= --sampling-seq=
--ignore-eos --temp= --temperature= --top-k= --top-p= --min-p= --top-nsigma= --top-n-sigma=
--xtc-probability= --xtc-threshold= --typical= --typical-p= --repeat-last-n= --repeat-penalty=
--presence-penalty= --frequency-penalty= --dry-multiplier= --dry-base= --dry-allowed-length=
--dry-penalty-last-n= --dry-sequence-breaker= --adaptive-target= --adaptive-decay=
--dynatemp-range= --dynatemp-exp= --mirostat= --mirostat-lr= --mirostat-ent= -l= --logit-bias=
--grammar= --grammar-file= -j= --json-schema= -jf= --json-schema-file= -bs --backend-sampling
--rope-scaling= --rope-scale= --rope-freq-base= --rope-freq-scale= --yarn-orig-ctx=
--yarn-ext-factor= --yarn-attn-factor= --yarn-beta-slow= --yarn-beta-fast= -kvo --kv-offload
-nkvo --no-kv-offload --repack -nr --no-repack --no-host -ctk= --cache-type-k= -ctv=
--cache-type-v= --hellaswag --hellaswag-tasks= --winogrande --winogrande-tasks= --multiple-choice
--multiple-choice-tasks= --kl-divergence --save-all-logits= --kl-divergence-base= --ppl-stride=
--ppl-output-type= -dt= --defrag-thold= -np= --parallel= -mm= --mmproj= -mmu= --mmproj-url=
--mmproj-offload --no-mmproj-offload --image-min-tokens= --image-max-tokens= --rpc= --mlock
--mmap --no-mmap -dio --direct-io -ndio --no-direct-io -lm= --load-mode= --numa= -dev= --device=
--list-devices -ot= --override-tensor= -cmoe --cpu-moe -ncmoe= --n-cpu-moe= -ngl= --gpu-layers=
--n-gpu-layers= -sm= --split-mode= -ts= --tensor-split= -mg= --main-gpu= -fit= --fit= -fitt=
--fit-target= -fitc= --fit-ctx= --check-tensors --override-kv= --op-offload --no-op-offload
--lora= --lora-scaled= --control-vector= --control-vector-scaled= --control-vector-layer-range=
-m= --model= -mu= --model-url= -dr= --docker-repo= -hf= -hfr= --hf-repo= -hff= --hf-file= -hft=
--hf-token= --log-disable --log-file= --log-colors= -v --verbose --log-verbose --offline -lv=
--verbosity= --log-verbosity= --log-prefix --no-log-prefix --log-timestamps --no-log-timestamps
--spec-draft-type-k= -ctkd= --cache-type-k-draft= --spec-draft-type-v= -ctvd=
--cache-type-v-draft=`,
	"bench": `
-h --help --numa= -r= --repetitions= --prio= --delay= -o= --output= -oe= --output-err=
--list-devices -v --verbose --progress --no-warmup -fitt= --fit-target= -fitc= --fit-ctx= -rpc=
--rpc= -m= --model= -hf= -hfr= --hf-repo= -hff= --hf-file= -hft= --hf-token= --offline -p=
--n-prompt= -n= --n-gen= -pg= -d= --n-depth= -b= --batch-size= -ub= --ubatch-size= -ctk=
--cache-type-k= -ctv= --cache-type-v= -t= --threads= -C= --cpu-mask= --cpu-strict= --poll= -ngl=
--n-gpu-layers= -ncmoe= --n-cpu-moe= -sm= --split-mode= -mg= --main-gpu= -nkvo= --no-kv-offload=
-fa= --flash-attn= -dev= --device= -lm= --load-mode= -mmp= --mmap= -dio= --direct-io= -embd=
--embeddings= -ts= --tensor-split= -ot= --override-tensor= -nopo= --no-op-offload= --no-host=
-npp= -ntg= -npl= -pps -tgs`,
}

// TestLlamaFlags: every flag of llama.cpp's programs is known by its name, and so is what follows
// it: it is a flag here too, has no effect, or is refused by its name.
func TestLlamaFlags(t *testing.T) {
	var began bool
	root := newRoot(&began)
	kinds := map[string]int{}
	for command, names := range namesOf {
		for _, name := range strings.Fields(names) {
			name, value := strings.CutSuffix(name, "=")
			args := []string{command, name}
			if value {
				args = append(args, "1")
			}
			a, err := translate(root, append(args, "text"))
			switch {
			case err != nil:
				require.Regexp(t, `^`+name+` is not supported: .`, err.Error())
				kinds[command+" refused"]++
			case len(a.ignored) > 0:
				require.Equal(t, []string{name}, a.ignored)
				kinds[command+" noted"]++
			case len(a.args) > 3:
				kinds[command+" own"]++
			default:
				kinds[command+" the same"]++
			}
			if err == nil {
				require.Equal(t, []string{"--", "text"}, a.args[len(a.args)-2:], "%s %s", command, name)
			}
		}
	}
	for kind, least := range map[string]int{"run refused": 50, "run noted": 100, "run own": 60, "run the same": 20, "bench noted": 20, "bench own": 20} {
		require.Greater(t, kinds[kind], least, kind)
	}
}

// TestLlamaValues: what a flag of llama.cpp asks for decides whether there is anything to report.
func TestLlamaValues(t *testing.T) {
	for _, c := range []struct{ args, want, notes string }{
		{"run -fa 1 a", "run -- a", ""},
		{"run -fa on a", "run -- a", ""},
		{"run -fa a", "run -- a", ""},
		{"run -fa 0 a", "run -- a", "-fa"},
		{"run --flash-attn=off a", "run -- a", "--flash-attn"},
		{"run -ngl 99 -mg 0 -sm none -ts 3,1 -nkvo -ot exps=CPU --numa distribute --prio 2 -lv 3 --no-repack a", "run -- a", "-ngl -mg -ts -ot --numa --prio -lv"},
		{"run -ngl 0 -np 1 --split_mode none a", "run -- a", ""},
		{"run -ngl 9 -ngl 9 a", "run -- a", "-ngl"},
		{"run -temp 0 -top-k 3 a", "run --temp 0 --top-k 3 -- a", ""},
		{"run -ve a", "run -ve -- a", ""},
		{"run -dio a", "run --no-mmap -- a", ""},
		{"run -lcs cache a", "run -- a", "-lcs"},
		{"run --color auto on", "run -- on", ""},
		{"run --color a", "run -- a", ""},
		{"run -v a", "run -v -- a", ""},
		{"inspect -v a", "inspect -- a", "-v"},
		{"bench -fa 0,1 -mmp 0 -embd 0 -nkvo 0,1 a", "bench -- a", "-fa -mmp -nkvo"},
		{"bench -fa 1 -mmp 1 -ngl 0 -lm mmap a", "bench -- a", ""},
		{"bench -dio 1 -v a", "bench -- a", "-dio -v"},
		{"perplexity --temp 0 -s 1 --chunks 2 a", "perplexity --chunks 2 -- a", "--temp -s"},
	} {
		var began bool
		a, err := translate(newRoot(&began), strings.Fields(c.args))
		require.NoError(t, err, c.args)
		require.Equal(t, c.want, strings.Join(a.args, " "), c.args)
		require.Equal(t, c.notes, strings.Join(a.ignored, " "), c.args)
	}
	for args, want := range map[string]string{
		"run -mu x c":                       "-mu is not supported: a model is a path",
		"run --lora a b":                    "--lora is not supported: adapters",
		"run -sys a b":                      "-sys is not supported: this command continues one text",
		"bench -embd 1":                     "-embd is not supported",
		"run --lora":                        "--lora wants a value",
		"run a -ngl":                        "-ngl wants a value",
		"run -xyz a":                        "there is no flag -xyz; a text that begins with a dash",
		"run -ex a":                         "there is no flag -ex; a text",
		"run -lcx a":                        "there is no flag -lcx; a value of -l stands apart: -l cx",
		"run -phello":                       "there is no flag -phello; a value of -p stands apart: -p hello",
		"run -temo 0 a":                     "there is no flag -temo; did you mean --temp?",
		"run --frobnicate a":                "there is no flag --frobnicate",
		"run -p a -p b":                     "-p, --prompt is given twice: want one of a and b",
		"run -m a --model b":                "-m, --model is given twice: want one of a and b",
		"run -f a -f a":                     "-f, --file is given twice",
		"inspect -m tiny-dense -m tiny-moe": "-m, --model is given twice",
	} {
		wrong(t, command(t, "", strings.Fields(args)...), want)
	}
}

// TestLlamaNote: all that has no effect is in one note, and a value that another follows in one
// of its own.
func TestLlamaNote(t *testing.T) {
	r := command(t, "", "run", "--temp", "0", "-ngl", "99", "-sm", "row", "--numa", "isolate", "-n", "1", "-n", "2", "-r", ".", "-r", "!", sun)
	require.Equal(t, result{0, " east and", "goinfer: note: -ngl, -sm and --numa have no effect here\n" +
		"goinfer: note: -n, --predict is given twice: the last value, 2, counts\n"}, r)
	r = command(t, "", "run", "--temp", "0", "-n", "1", "--flash-attn=0", sun)
	require.Equal(t, result{0, " east", "goinfer: note: --flash-attn has no effect here\n"}, r)
}
