package chat

import (
	"maps"
	"slices"
)

// Builtins returns the names of the built-in templates, sorted.
func Builtins() []string { return slices.Sorted(maps.Keys(builtins)) }

// Builtin returns a built-in template.
func Builtin(name string) (Source, bool) {
	text, ok := builtins[name]
	return Source{Name: name, Text: text, Builtin: true}, ok
}

// systemFirst takes a system message off the front, for formats without a turn of that role.
const systemFirst = `{%- set system = '' -%}
{%- set turns = messages -%}
{%- if messages and messages[0].role == 'system' -%}
  {%- set system = messages[0].content -%}
  {%- set turns = messages[1:] -%}
{%- endif -%}
`

// alternating refuses what a format of two roles cannot say.
const alternating = `{%- for m in turns -%}
  {%- if m.role != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}
    {{- raise_exception('this format wants turns of user and assistant by turns, beginning with user, and a system message only at the beginning') -}}
  {%- endif -%}
{%- endfor -%}
`

// builtins are the formats of well-known families, for files without a template of their own.
var builtins = map[string]string{
	"chatml": `{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}`,

	"llama2": systemFirst + alternating + `{%- for m in turns -%}
  {%- if m.role == 'user' -%}
    {%- set text = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m.content if loop.first and system else m.content -%}
    {{- bos_token + '[INST] ' + text.strip() + ' [/INST]' -}}
  {%- else -%}
    {{- ' ' + m.content.strip() + ' ' + eos_token -}}
  {%- endif -%}
{%- endfor -%}`,

	"llama3": `{{- bos_token -}}
{%- for m in messages -%}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content.strip() + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}`,

	"llama4": `{{- bos_token -}}
{%- for m in messages -%}
{{- '<|header_start|>' + m.role + '<|header_end|>\n\n' + m.content.strip() + '<|eot|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|header_start|>assistant<|header_end|>\n\n' -}}{%- endif -%}`,

	"mistral": systemFirst + alternating + `{{- bos_token -}}
{%- for m in turns -%}
  {%- if m.role == 'user' -%}
    {{- '[INST] ' + (system + '\n\n' if loop.first and system else '') + m.content + ' [/INST]' -}}
  {%- else -%}
    {{- ' ' + m.content.strip() + eos_token -}}
  {%- endif -%}
{%- endfor -%}`,

	"gemma": systemFirst + alternating + `{{- bos_token -}}
{%- for m in turns -%}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' -}}
{{- (system + '\n\n' if loop.first and system else '') + m.content.strip() + '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}`,

	"phi3": `{%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + '<|end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}`,

	"phi4": `{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant<|im_sep|>' -}}{%- endif -%}`,

	"zephyr": `{%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + eos_token + '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}`,

	"alpaca": systemFirst + alternating + `{{- bos_token -}}
{{- (system or 'Below is an instruction that describes a task. Write a response that appropriately completes the request.') + '\n\n' -}}
{%- for m in turns -%}
{{- ('### Instruction:\n' + m.content + '\n\n') if m.role == 'user' else ('### Response:\n' + m.content + eos_token + '\n\n') -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%}`,

	"vicuna": systemFirst + alternating + `{{- bos_token -}}
{%- if system -%}{{- system + '\n\n' -}}{%- endif -%}
{%- for m in turns -%}
{{- ('USER: ' + m.content + '\n') if m.role == 'user' else ('ASSISTANT: ' + m.content + eos_token + '\n') -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}`,

	"deepseek": systemFirst + alternating + `{{- bos_token + system -}}
{%- for m in turns -%}
{{- ('<｜User｜>' + m.content) if m.role == 'user' else ('<｜Assistant｜>' + m.content + '<｜end▁of▁sentence｜>') -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜>' -}}{%- endif -%}`,

	"granite": `{%- for m in messages -%}
{{- '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_of_role|>assistant<|end_of_role|>' -}}{%- endif -%}`,

	"command-r": `{{- bos_token -}}
{%- for m in messages -%}
{%- set role = {'user': '<|USER_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}.get(m.role, '<|SYSTEM_TOKEN|>') -%}
{{- '<|START_OF_TURN_TOKEN|>' + role + m.content.strip() + '<|END_OF_TURN_TOKEN|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' -}}{%- endif -%}`,

	"harmony": `{%- for m in messages -%}
{%- if m.role == 'assistant' -%}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' -}}
{%- else -%}
{{- '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}`,
}
