package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// terminal is a pseudo-terminal: what a command writes to its end is collected.
type terminal struct {
	*os.File          // the command's end
	master   *os.File // the keyboard
	mu       sync.Mutex
	text     bytes.Buffer
	done     chan struct{}
}

func newTerminal(t *testing.T) *terminal {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	var unlocked, n uint32
	control(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	control(t, master, syscall.TIOCGPTN, unsafe.Pointer(&n))
	end, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	// Ctrl-C throws away what was written and not yet shown, which may be what is tested.
	var mode syscall.Termios
	control(t, end, syscall.TCGETS, unsafe.Pointer(&mode))
	mode.Lflag |= syscall.NOFLSH
	control(t, end, syscall.TCSETS, unsafe.Pointer(&mode))
	x := &terminal{File: end, master: master, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return // the command's end is closed
			}
			x.mu.Lock()
			x.text.Write(buf[:n])
			x.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		end.Close()
		<-x.done
		master.Close()
	})
	return x
}

// control makes a request of the driver of a terminal.
func control(t *testing.T, f *os.File, request uintptr, arg unsafe.Pointer) {
	_, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	require.Zero(t, no)
}

func (x *terminal) shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// close ends the terminal and returns all that it has shown.
func (x *terminal) close() string {
	x.Close()
	<-x.done
	return x.shown()
}

// On a terminal nothing is asked, and text ends with a line break.
func TestTerminal(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run"}, exitUsage, "goinfer: there is no PROMPT: want it as an argument, by -f FILE or on standard input\nTry 'goinfer run --help'.\n"},
		{[]string{"run", "tiny-moe"}, exitUsage, "goinfer: there is no PROMPT: want it as an argument, by -f FILE or on standard input\nTry 'goinfer run --help'.\n"},
		{[]string{"tokens"}, exitUsage, "goinfer: there is no TEXT: want it as an argument, by -f FILE or on standard input\nTry 'goinfer tokens --help'.\n"},
		{[]string{"claims", "--html", "-"}, exitUsage, "goinfer: --html -: standard output is a terminal, and a page is for a browser\nTry 'goinfer claims --help'.\n"},
		{[]string{"lab", "--html", "-"}, exitUsage, "goinfer: --html -: standard output is a terminal, and a page is for a browser\nTry 'goinfer lab --help'.\n"},
		{[]string{"explain", "-o", "-", "x"}, exitUsage, "goinfer: -o -: standard output is a terminal, and a page is for a browser\nTry 'goinfer explain --help'.\n"},
		{[]string{"quantize", "tiny-moe", "-", "q4_0"}, exitUsage, "goinfer: -: standard output is a terminal, and a model is no text\nTry 'goinfer quantize --help'.\n"},
		{[]string{"logits", "--ids", "1", "-o", "-"}, exitUsage, "goinfer: -o -: standard output is a terminal, and logits are no text\nTry 'goinfer logits --help'.\n"},
		{[]string{"run", "--temp", "0", "-n", "3", sun}, exitOK, " east and sets\n"},
		{[]string{"run", "--temp", "0", "-n", "8", sun}, exitOK, " east and sets in the west.\n"},
		{[]string{"run", "--temp", "0", "-n", "0", sun}, exitOK, ""},
		{[]string{"run", "--temp", "0", "-c", "9", sun}, exitOK, " east and\ngoinfer: note: the context is full: 7 tokens of the prompt and 2 generated; -c makes it larger\n"},
		{[]string{"tokens", "--ids", "-p", "hi"}, exitOK, "[1,3125]\n"},
	} {
		x := newTerminal(t)
		require.Equal(t, c.code, run(t.Context(), c.args, x, x, x), c.args)
		require.Equal(t, strings.ReplaceAll(c.want, "\n", "\r\n"), x.close())
	}
}

// What takes over a second shows a bar on a terminal, and takes it away.
func TestProgress(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds")
	}
	t.Parallel()
	for name, c := range map[string]struct {
		first, total int
		want         string
	}{
		"known":   {10, 10, `working +70% \|█+ *\| \(7/10\) \[\d+s:\d+s\]`},
		"found":   {-1, 10, `working +70% \|█+ *\|.* \[\d+s:\d+s\]`},
		"unknown": {-1, -1, `working .*\[\d+s\]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t)
			cmd := &cobra.Command{}
			cmd.SetErr(x)
			p := startProgress(cmd, "working", c.first)
			p.set(3, c.total)
			require.Empty(t, x.shown())
			time.Sleep(patience + 300*time.Millisecond)
			p.set(7, c.total)
			time.Sleep(200 * time.Millisecond)
			p.end()
			p.set(8, c.total)
			p.end()
			shown := x.close()
			require.Regexp(t, c.want, shown)
			require.Regexp(t, `\r +\r$`, shown)
			require.NotContains(t, shown, "\n")
		})
	}
	var none bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&none)
	require.Nil(t, startProgress(cmd, "working", 10), "there is no terminal")
}

func TestControlC(t *testing.T) {
	cmd := process(t, "run", "--temp", "0", "--ignore-eos", "-c", "100000", sun)
	x := newTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.File, x.File, io.Discard
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	require.Eventually(t, func() bool { return strings.Contains(x.shown(), " west") }, 20*time.Second, time.Millisecond)
	_, err := x.master.WriteString("\x03")
	require.NoError(t, err)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode())
	shown := x.close()
	require.True(t, strings.HasPrefix(shown, " east and sets in the west"), shown)
	require.Regexp(t, `\n(\^C)?$`, shown, "the shell's prompt begins a line")
}
