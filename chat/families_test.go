package chat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outputs are calls by what a model writes.
type outputs map[string][]gotCall

var (
	one   = []gotCall{{Name: "get_weather", Args: `{"city": "Paris"}`}}
	typed = []gotCall{{Name: "get_weather", Args: `{"city": "Paris", "days": 3, "metric": true}`}}
	two   = []gotCall{{Name: "get_weather", Args: `{"city": "Paris"}`}, {Name: "get_time", Args: `{"zone": "CET"}`}}
	none  []gotCall
)

// families are outputs by the name of a template of the reference data.
var families = map[string]outputs{
	"meta-llama-Llama-3.1-8B-Instruct": {
		`{"name": "get_weather", "parameters": {"city": "Paris"}}`:                              one,
		"\n\n" + `{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}`: one,
		`<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}`:                one,
		`<|python_tag|>get_weather.call(city="Paris")`:                                          one,
		"<|python_tag|>print(1)\nprint(\"2\")":                                                  {{Name: "python", Args: `{"code": "print(1)\nprint(\"2\")"}`}},
		`[get_weather(city='Paris'), get_time(zone="CET")]`:                                     two,
		`{"name": "unknown", "parameters": {}}`:                                                 none,
		`{"answer": 42}`:                                                                        none,
		`[1, 2, 3]`:                                                                             none,
		`[unknown(x=1)]`:                                                                        none,
		`{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "get_time", "parameters": {"zone": "CET"}}`: two,
	},
	"meta-llama-Llama-3.2-3B-Instruct": {
		`[get_weather(city="Paris", days=3, metric=True)]`:         typed,
		`{"name": "get_weather", "parameters": {"city": "Paris"}}`: one,
	},
	"mistralai-Mistral-Nemo-Instruct-2407": {
		`[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "123456789"}]`:                                   one,
		`[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {"zone": "CET"}}]`: two,
	},
	"Mistral-Small-3.2-24B-Instruct-2506": {
		`[TOOL_CALLS]get_weather[CALL_ID]123456789[ARGS]{"city": "Paris"}`: {{ID: "123456789", Name: "get_weather", Args: `{"city": "Paris"}`}},
	},
	"mistralai-Ministral-3-14B-Reasoning-2512": {
		`[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{"zone": "CET"}`: two,
		`[THINK]hm[/THINK][TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}`:                         one,
	},
	"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": {
		"<think>\nhm\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>":                                                                             one,
		"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_time\n```json\n{\"zone\": \"CET\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>": two,
	},
	"Qwen3.5-4B": {
		"<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=metric>\ntrue\n</parameter>\n</function>\n</tool_call>": typed,
		"<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>":                                                                                         one,
		"<tool_call>\n<function=get_weather><parameter=city>Paris</parameter></function></tool_call>":                                                                                      one,
		"<tool_call>\n<function=get_time>\n</function>\n</tool_call>":                                                                                                                      {{Name: "get_time", Args: `{}`}},
	},
	"GLM-4.6": {
		"<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n<arg_key>metric</arg_key>\n<arg_value>true</arg_value>\n</tool_call>": typed,
		"<think>hm</think>\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>":                                                                                               one,
	},
	"moonshotai-Kimi-K2": {
		`<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>`: {{ID: "functions.get_weather:0", Name: "get_weather", Args: `{"city": "Paris"}`}},
	},
	"CohereForAI-c4ai-command-r-plus-tool_use": {
		"Action: ```json\n[\n    {\n        \"tool_name\": \"get_weather\",\n        \"parameters\": {\"city\": \"Paris\"}\n    }\n]```": one,
	},
	"Cohere2MoE": {
		"<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}\n]<|END_ACTION|>": {{ID: "0", Name: "get_weather", Args: `{"city": "Paris"}`}},
	},
	"fireworks-ai-llama-3-firefunction-v2": {
		` functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]`: one,
	},
	"meetkai-functionary-medium-v3.2": {
		"get_weather\n{\"city\": \"Paris\"}>>>get_time\n{\"zone\": \"CET\"}": two,
		"all\nSure.>>>get_weather\n{\"city\": \"Paris\"}":                    one,
	},
	"ibm-granite-granite-3.3-2B-Instruct": {
		`<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]`: one,
		`<|tool_call|> {"name": "get_weather", "arguments": {"city": "Paris"}}`:  one,
	},
	"NVIDIA-Nemotron-Nano-v2": {
		"</think>\n<TOOLCALL>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]</TOOLCALL>": one,
	},
	"Apertus-8B-Instruct": {
		`<|tools_prefix|>[{"get_weather": {"city": "Paris"}}, {"get_time": {"zone": "CET"}}]<|tools_suffix|>`: two,
	},
	"LFM2.5-8B-A1B": {
		`<|tool_call_start|>[get_weather(city="Paris", days=3, metric=True)]<|tool_call_end|>`:       typed,
		`<|tool_call_start|>[get_weather(city='Paris'), get_time(zone='CET')]<|tool_call_end|>Done.`: two,
	},
	"google-gemma-4-31B-it": {
		`<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3,metric:true}<tool_call|>`: typed,
	},
	"deepseek-ai-DeepSeek-V4": {
		"</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">3</｜DSML｜parameter>\n<｜DSML｜parameter name=\"metric\" string=\"false\">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>": typed,
	},
	"MiniMax-M3": {
		"]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"get_weather\">]<]minimax[>[<city>Paris]<]minimax[>[</city>]<]minimax[>[<where>]<]minimax[>[<where>]<]minimax[>[<b>1]<]minimax[>[</b>]<]minimax[>[</where>]<]minimax[>[<l>]<]minimax[>[<item>x]<]minimax[>[</item>]<]minimax[>[<item>]<]minimax[>[<k>2.5]<]minimax[>[</k>]<]minimax[>[</item>]<]minimax[>[</l>]<]minimax[>[</where>]<]minimax[>[<list>]<]minimax[>[<item>true]<]minimax[>[</item>]<]minimax[>[</list>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>": {
			{Name: "get_weather", Args: `{"city": "Paris", "where": {"where": {"b": 1}, "l": ["x", {"k": 2.5}]}, "list": [true]}`}},
	},
	"muse-glimmer": {
		" to=self<|message|>hm<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke name=\"get_weather\">\n<atem:parameter name=\"city\">Paris</atem:parameter>\n<atem:parameter name=\"days\">3</atem:parameter>\n<atem:parameter name=\"metric\">true</atem:parameter>\n</atem:invoke>\n</atem:function_calls>":                                                                                             typed,
		" to=user<|message|>Sure.<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke name=\"get_weather\">\n<atem:parameter name=\"city\">Paris</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=get_time<|message|><atem:function_calls>\n<atem:invoke name=\"get_time\">\n<atem:parameter name=\"zone\">CET</atem:parameter>\n</atem:invoke>\n</atem:function_calls>": two,
	},
	"hub-hermes-3-llama-3.1-8b-default": {},
}

// TestFamilies reads what models of each family are known to write, also where it differs from what
// their template renders.
func TestFamilies(t *testing.T) {
	seen := 0
	templates(t, func(t *testing.T, name, source string) {
		for text, want := range families[name] {
			tm, err := New(Source{Name: name, Text: source}, plainVocab(t))
			require.NoError(t, err)
			a := parseAll(t, tm, &Prompt{tools: weatherTools}, text)
			require.Len(t, a.Calls, len(want), "%q: %+v", text, a)
			for i, c := range want {
				require.Equal(t, c.Name, a.Calls[i].Name)
				require.Empty(t, a.Calls[i].Problem)
				var x, y any
				require.NoError(t, json.Unmarshal([]byte(c.Args), &x))
				require.NoError(t, json.Unmarshal([]byte(a.Calls[i].Args), &y), a.Calls[i].Args)
				require.Equal(t, x, y)
				if c.ID != "" {
					require.Equal(t, c.ID, a.Calls[i].ID)
				}
			}
			if len(want) == 0 {
				require.Equal(t, text, a.Text)
			}
			seen++
		}
	})
	require.Greater(t, seen, 38)
}

// TestPhi4: the template of Phi-4 mini shows tools and no calls; they are known by the mark that
// its instructions and its vocabulary have (microsoft/Phi-4-mini-instruct).
func TestPhi4(t *testing.T) {
	const source = `{% for message in messages %}{% if message['role'] == 'system' and tools %}{{ '<|system|>' + message['content'] + '<|tool|>' + (tools | tojson) + '<|/tool|><|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`
	tm, err := New(Source{Name: "phi4", Text: source}, byteVocab(t, []string{"<|user|>", "<|assistant|>", "<|end|>", "<|tool_call|>", "<|/tool_call|>"}))
	require.NoError(t, err)
	a := parseAll(t, tm, &Prompt{tools: weatherTools}, `Sure. <|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]<|/tool_call|>`)
	require.Equal(t, "Sure.", a.Text)
	require.Len(t, a.Calls, 2)
	require.Equal(t, `{"city": "Paris"}`, a.Calls[0].Args)
	require.Equal(t, "get_time", a.Calls[1].Name)
}

// TestUnknownFamily: the format of a family that nobody has heard of is read from its template.
func TestUnknownFamily(t *testing.T) {
	const frame = `{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|turn|>{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}CALL{% endfor %}<|fin|>{% endfor %}{% if add_generation_prompt %}<|turn|>assistant:{% endif %}`
	calls := []ToolCall{{Name: "get_weather", Arguments: `{"city": "a}\"{ b", "days": 3}`}, {Name: "get_time", Arguments: `{"zone": "CET"}`}}
	for what, call := range map[string]string{
		"object":         `⟨do⟩{{ {'fn': c.function.name, 'with': c.function.arguments} | tojson }}⟨/do⟩`,
		"in an object":   `[[USE]]{{ {'call': {'n': c.function.name, 'a': c.function.arguments}} | tojson }}[[/USE]]`,
		"name, object":   `<act>{{ c.function.name }} with {{ c.function.arguments | tojson }}</act>`,
		"keyed":          `<%run%>{{ {c.function.name: c.function.arguments} | tojson }}`,
		"tags":           `<do fn="{{ c.function.name }}">{% for k, v in c.function.arguments.items() %}<arg k="{{ k }}">{{ v }}</arg>{% endfor %}</do>`,
		"tags with keys": `<do fn="{{ c.function.name }}">{% for k, v in c.function.arguments.items() %}<{{ k }}>{{ v }}</{{ k }}>{% endfor %}</do>`,
	} {
		tm, err := New(Source{Name: what, Text: strings.Replace(frame, "CALL", call, 1)}, plainVocab(t))
		require.NoError(t, err)
		require.NotNil(t, tm.calls, what)
		p, text, err := rendered(tm, Message{Role: "assistant", Content: "", ToolCalls: calls})
		require.NoError(t, err)
		a := parseAll(t, tm, p, text)
		require.Len(t, a.Calls, 2, "%s: %q %+v", what, text, a)
		for i, c := range calls {
			require.Equal(t, c.Name, a.Calls[i].Name)
			require.Empty(t, a.Calls[i].Problem)
			sameJSON(t, c.Arguments, a.Calls[i].Args, what)
		}
		require.Empty(t, a.Text, what)
	}
}
