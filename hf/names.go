package hf

import (
	"regexp"
	"strings"
)

// outer are the names of tensors outside layers, without what stands before them and without
// .weight.
var outer = map[string]string{
	"embed_tokens": "token_embd", "wte": "token_embd", "embeddings": "token_embd", "embed_in": "token_embd", "word_embeddings": "token_embd", "tok_embeddings": "token_embd",
	"embedding.word_embeddings": "token_embd",
	"norm":                      "output_norm", "ln_f": "output_norm", "norm_f": "output_norm", "final_layernorm": "output_norm", "final_layer_norm": "output_norm", "encoder.final_layernorm": "output_norm",
	"lm_head": "output", "lm_head.linear": "output", "embed_out": "output", "output": "output", "output_layer": "output",
	"wpe": "position_embd",
}

// inner are the names of tensors in a layer. # stands for the number of an expert.
var inner = map[string]string{
	"input_layernorm":          "attn_norm",
	"post_attention_layernorm": "ffn_norm",

	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv",
	"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",

	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",

	"mlp.gate": "ffn_gate_inp", "block_sparse_moe.gate": "ffn_gate_inp",
	"mlp.experts.#.gate_proj": "ffn_gate_exps", "mlp.experts.#.up_proj": "ffn_up_exps", "mlp.experts.#.down_proj": "ffn_down_exps",
	"block_sparse_moe.experts.#.w1": "ffn_gate_exps", "block_sparse_moe.experts.#.w3": "ffn_up_exps", "block_sparse_moe.experts.#.w2": "ffn_down_exps",

	// Constants of the computation that old checkpoints have as tensors.
	"self_attn.rotary_emb.inv_freq": "", "attention.rotary_emb.inv_freq": "", "rotary_emb.inv_freq": "",
}

// layered splits the name of a tensor in a layer. What stands before the layers is one of a few, so
// that no layer of a vision tower is taken for one of these.
var layered = regexp.MustCompile(`^(?:model\.|language_model\.|transformer\.|gpt_neox\.|ernie\.|backbone\.|bert\.|encoder\.)*(?:layers|layer|h)\.(\d+)\.(.+)$`)

// member finds the number of one of many in the name of a tensor: an expert, a head's norm.
var member = regexp.MustCompile(`\b(?:experts|norms)\.(\d+)\.`)

// place is where a tensor goes.
type place struct {
	layer  string // its number, empty outside layers
	base   string // the name in the layer, such as attn_q; empty for what is left out
	suffix string // .weight, .bias
	expert string // its number, empty for what is no part of a stack
}

// name is that of the tensor in a GGUF file.
func (p place) name() string {
	if p.layer == "" {
		return p.base + p.suffix
	}
	return "blk." + p.layer + "." + p.base + p.suffix
}

// locate translates the name of a tensor.
func (f *Family) locate(name string) (p place, ok bool) {
	if parts := layered.FindStringSubmatch(name); parts != nil {
		p.layer, name = parts[1], parts[2]
		if e := member.FindStringSubmatchIndex(name); e != nil {
			p.expert = name[e[2]:e[3]]
			name = name[:e[2]] + "#" + name[e[3]:]
		}
		return p.find(name, f.Tensors, inner)
	}
	for _, prefix := range []string{"model.", "language_model.", "model.", "transformer.", "gpt_neox.", "ernie.", "backbone.", "bert."} {
		name = strings.TrimPrefix(name, prefix)
	}
	return p.find(name, f.Tensors, outer)
}

// find looks a name up in tables, as it is or without its suffix.
func (p place) find(name string, tables ...map[string]string) (place, bool) {
	base, suffix := name, ""
	for _, s := range []string{".weight", ".bias"} {
		if b, ok := strings.CutSuffix(name, s); ok {
			base, suffix = b, s
		}
	}
	for _, table := range tables {
		if to, ok := table[name]; ok {
			p.base, p.suffix = to, ".weight"
			for _, own := range []string{".bias", "."} { // a dot alone stands for no suffix
				if b, ok := strings.CutSuffix(to, own); ok {
					p.base, p.suffix = b, strings.TrimSuffix(own, ".")
				}
			}
			return p, true
		}
		if to, ok := table[base]; ok && suffix != "" {
			p.base, p.suffix = to, suffix
			return p, true
		}
	}
	return p, false
}
