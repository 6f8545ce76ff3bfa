package main

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// talk is chat on a terminal, with what is typed.
type talk struct {
	*testing.T
	x    *terminal
	cmd  *exec.Cmd
	seen int
}

func newTalk(t *testing.T, args ...string) *talk {
	cmd := process(t, append([]string{"chat"}, args...)...)
	x := newTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.File, x.File, x.File
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	k := &talk{T: t, x: x, cmd: cmd}
	k.wait(">>> ")
	return k
}

// wait waits for something new on the screen, and returns all up to it.
func (k *talk) wait(want string) string {
	k.Helper()
	var shown string
	require.Eventually(k, func() bool {
		shown = k.x.shown()[k.seen:]
		return strings.Contains(shown, want)
	}, 30*time.Second, 2*time.Millisecond, "want %q, found %q", want, k.x.shown()[k.seen:])
	n := strings.Index(shown, want) + len(want)
	k.seen += n
	return shown[:n]
}

// say types a line and returns what is shown up to the next prompt.
func (k *talk) say(line string) string {
	k.Helper()
	k.press(line + "\r")
	return k.wait(">>> ")
}

func (k *talk) press(s string) {
	_, err := io.WriteString(k.x.master, s)
	require.NoError(k, err)
}

// leave types the keys that leave, and wants it to go well.
func (k *talk) leave(s string) {
	k.press(s)
	require.NoError(k, k.cmd.Wait())
}

// TestChatTerminal holds a conversation on a terminal.
func TestChatTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	k := newTalk(t, "--temp", "0", "-v")
	require.Contains(t, k.say(west), "It is east.\r\n")
	shown := k.say("What is the capital of France?")
	require.Contains(t, shown, "It is Paris.\r\n")
	require.Contains(t, shown, ", 18 cached")
	require.Contains(t, k.say("/save "+file), "4 messages with 40 tokens computed are in")
	require.Contains(t, k.say("/show messages"), "user: "+west)
	require.Contains(t, k.say("/show"), "so far      4 messages, 40 tokens")
	require.Contains(t, k.say("/show parameters"), "temp")
	require.Contains(t, k.say("/show template"), "add_generation_prompt")
	require.Contains(t, k.say("/show all"), "/show: want info")
	require.Contains(t, k.say("/set parameter top_p 7"), "TopP: want 0 to 1, found 7")
	require.Contains(t, k.say("/set parameter wings 2"), `there is no parameter "wings"`)
	require.Contains(t, k.say("/set think on"), "no variable to switch thinking on")
	require.Contains(t, k.say("/wings"), "there is no command /wings")
	require.Contains(t, k.say("/?"), "/set parameter NAME VALUE")
	require.Contains(t, k.say("/set system Answer in short sentences."), ">>> ")
	require.Contains(t, k.say("/show system"), "Answer in short sentences.")
	require.Contains(t, k.say("/retry"), "Paris")
	require.Contains(t, k.say("/clear"), "is forgotten")
	require.Contains(t, k.say("/retry"), "there is no message yet")
	k.press("half a line\x03")
	require.Contains(t, k.wait("leaves."), "Ctrl-D or /bye")
	k.wait(">>> ")
	k.leave("\x04")

	// After a restart the conversation goes on at once.
	k = newTalk(t, "--temp", "0", "-v")
	require.Contains(t, k.say("/load "+file), "4 messages with 40 tokens computed are read")
	shown = k.say("What is the opposite of hot?")
	require.Contains(t, shown, "It is cold.")
	require.Contains(t, shown, ", 40 cached")
	// Lines between quotes, and pasted ones, are one message.
	k.press("\"\"\"\r")
	k.wait("... ")
	k.press("What is the\r")
	k.wait("... ")
	k.say(`capital of France?"""`)
	k.press("\x1b[200~What is the\ropposite of\rwest?\x1b[201~")
	k.wait("west?")
	k.press("\r")
	k.wait(">>> ")
	shown = k.say("/show messages")
	require.Contains(t, shown, "user: What is the\r\ncapital of France?\r\n")
	require.Contains(t, shown, "user: What is the\r\nopposite of\r\nwest?\r\n")
	k.leave("/bye\r")
}

// TestChatControlC: Ctrl-C ends an answer and keeps what there was of it.
func TestChatControlC(t *testing.T) {
	k := newTalk(t, "tiny-moe", "--exact", "-t", "1", "--temp", "0", "-l", "2-inf", "-l", "6-inf")
	k.press("Please tell me a story.\r")
	k.wait("Once upon")
	k.press("\x03")
	k.wait(">>> ")
	require.Contains(t, k.say("/show messages"), "assistant: Once upon")
	require.Contains(t, k.say("/clear"), "forgotten")
	k.leave("\x04")
}

// TestChatTools: the results of calls are asked for, and an interrupted one takes the message back.
func TestChatTools(t *testing.T) {
	tools := writeText(t, "tools.json", `[{"name": "look", "description": "Looks", "parameters": {"type": "object", "properties": {"at": {"enum": ["sky"]}}, "required": ["at"], "additionalProperties": false}}]`)
	k := newTalk(t, "--temp", "0", "-n", "200", "--chat-template", writeText(t, "t.jinja", toolTemplate), "--tools", tools, "--tool-choice", "required")
	k.press(west + "\r")
	require.Regexp(t, `look\(\{"at": ?"sky" ?\}\)`, k.wait("result of look> "))
	k.press("\x03")
	k.wait("taken back")
	k.wait(">>> ")
	require.NotContains(t, k.say("/show messages"), "user:")
	k.press(west + "\r")
	for left := strings.Count(k.wait("result of look> "), "look({"); left > 0; left-- {
		k.press("blue\r") // the answer to the last result need not call again
		if left > 1 {
			k.wait("result of look> ")
		}
	}
	k.wait(">>> ")
	require.Contains(t, k.say("/show messages"), "blue")
	k.leave("\x04")
}

// TestChatOverflow: a full context is reported, or the oldest messages are left out, which is
// reported too.
func TestChatOverflow(t *testing.T) {
	k := newTalk(t, "--temp", "0", "-c", "64", "--overflow", "drop-oldest")
	for range 3 {
		require.Contains(t, k.say(west), "east")
	}
	require.Contains(t, k.say("What is the opposite of hot?"), "the context of 64 tokens is full: the oldest 2 messages are left out")
	k.leave("\x04")
	k = newTalk(t, "--temp", "0", "-c", "40")
	k.say(west)
	k.say(west)
	require.Contains(t, k.say(west), "the context")
	k.leave("\x04")
}
