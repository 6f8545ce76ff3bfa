package cpu

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// topo describes cores as lists of processors, and makes the files that Linux would show.
type topo struct {
	cores    []string    // "0,4" or "0-1": the processors of each core
	atom     string      // efficiency processors of a hybrid x86
	capacity map[int]int // of arm64 processors
	old      bool        // the names before Linux 5.2
}

func (y topo) fs() fstest.MapFS {
	m := fstest.MapFS{}
	put := func(name, s string) { m[name] = &fstest.MapFile{Data: []byte(s + "\n")} }
	name := "core_cpus_list"
	if y.old {
		name = "thread_siblings_list"
	}
	last := 0
	for _, core := range y.cores {
		for _, cpu := range parseList(core) {
			put(fmt.Sprintf("%s/cpu%d/topology/%s", cpuDir, cpu, name), core)
			last = max(last, cpu)
		}
	}
	for cpu, n := range y.capacity {
		put(fmt.Sprintf("%s/cpu%d/cpu_capacity", cpuDir, cpu), fmt.Sprint(n))
	}
	if y.atom != "" {
		put("sys/devices/cpu_atom/cpus", y.atom)
	}
	put(cpuDir+"/online", fmt.Sprintf("0-%d", last))
	return m
}

func TestThreads(t *testing.T) {
	smt4 := topo{cores: []string{"0,4", "1,5", "2,6", "3,7"}}
	hybrid := topo{cores: []string{"0-1", "2-3", "4", "5", "6", "7"}, atom: "4-7"}
	arm := topo{cores: []string{"0", "1", "2", "3", "4", "5", "6", "7"},
		capacity: map[int]int{0: 250, 1: 250, 2: 250, 3: 250, 4: 760, 5: 760, 6: 760, 7: 1024}}
	for name, c := range map[string]struct {
		root    fs.FS
		allowed string
		quota   float64
		n       int
		why     string
	}{
		"plain":                    {topo{cores: []string{"0", "1"}}.fs(), "0-1", 0, 2, "2 of 2 cores"},
		"one":                      {topo{cores: []string{"0"}}.fs(), "0", 0, 1, "1 of 1 core"},
		"quota":                    {topo{cores: []string{"0", "1"}}.fs(), "0-1", 1.5, 2, "2 of 2 cores; cgroup quota 1.5"},
		"small quota":              {topo{cores: []string{"0", "1"}}.fs(), "0-1", 0.05, 1, "1 of 2 cores; cgroup quota 0.05"},
		"quota below":              {smt4.fs(), "0-7", 2, 2, "2 of 4 cores with 8 SMT threads; cgroup quota 2"},
		"smt":                      {smt4.fs(), "0-7", 0, 4, "4 of 4 cores with 8 SMT threads"},
		"smt, old kernel":          {topo{cores: smt4.cores, old: true}.fs(), "0-7", 0, 4, "4 of 4 cores with 8 SMT threads"},
		"both threads of one core": {smt4.fs(), "1,5", 0, 1, "1 of 4 cores with 8 SMT threads; affinity allows 2 processors on 1 core"},
		"affinity and quota":       {smt4.fs(), "0-2", 1.999, 2, "2 of 4 cores with 8 SMT threads; affinity allows 3 processors on 3 cores; cgroup quota 2"},
		"hybrid":                   {hybrid.fs(), "0-7", 0, 2, "2 of 6 cores with 8 SMT threads; 4 efficiency cores left out"},
		"hybrid, slow cores only":  {hybrid.fs(), "5-7", 0, 3, "3 of 6 cores with 8 SMT threads; affinity allows 3 processors on 3 cores"},
		"three kinds of arm core":  {arm.fs(), "0-7", 0, 4, "4 of 8 cores; 4 efficiency cores left out"},
		"no files":                 {fstest.MapFS{}, "0-2", 0, 3, "3 of 3 cores"},
	} {
		t.Run(name, func(t *testing.T) {
			n, why := threads(sysfsCores(c.root, parseList(c.allowed)).sane(), c.quota, math.MaxInt)
			require.Equal(t, c.n, n)
			require.Equal(t, c.why, why)
		})
	}
}

// TestGoMaxProcs checks that no more threads are started than Go runs at once.
func TestGoMaxProcs(t *testing.T) {
	c := Cores{Logical: 8, Physical: 8, Allowed: 8, Usable: 8, Performance: 8}
	n, why := threads(c, 0, 3)
	require.Equal(t, 3, n)
	require.Equal(t, "3 of 8 cores; GOMAXPROCS 3", why)
	n, why = threads(c, 1.5, 3)
	require.Equal(t, 2, n)
	require.Equal(t, "2 of 8 cores; cgroup quota 1.5", why)

	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	n, _ = Threads()
	require.Equal(t, 1, n)
}

func TestSane(t *testing.T) {
	for _, c := range []struct{ in, out Cores }{
		{Cores{}, Cores{1, 1, 1, 1, 1}},
		{Cores{Allowed: 4}, Cores{4, 4, 4, 4, 4}},
		{Cores{Logical: 2, Physical: 8, Allowed: 4, Usable: 9, Performance: 12}, Cores{4, 4, 4, 4, 4}},
		{Cores{Logical: 16, Physical: 8, Allowed: 16, Usable: 8, Performance: 8}, Cores{16, 8, 16, 8, 8}},
		{Cores{Logical: -1, Physical: -1, Allowed: -1, Usable: -1, Performance: -1}, Cores{1, 1, 1, 1, 1}},
	} {
		require.Equal(t, c.out, c.in.sane())
	}
}

func TestThisMachine(t *testing.T) {
	n, why := Threads()
	c := Count()
	require.True(t, n >= 1 && n <= c.Performance, "%d threads on %+v", n, c)
	require.True(t, strings.HasPrefix(why, fmt.Sprintf("%d of %d core", n, c.Physical)), why)
	require.LessOrEqual(t, c.Performance, c.Usable)
	require.LessOrEqual(t, c.Usable, c.Allowed)
	require.LessOrEqual(t, c.Allowed, c.Logical)
	require.Equal(t, runtime.NumCPU(), c.Allowed)
	require.NotEmpty(t, Name())
	require.GreaterOrEqual(t, Cache().Last, Cache().L2)
}

func TestLevel(t *testing.T) {
	all := []string{"go", "avx2", "avxvnni", "avx512vnni", "avx512bf16"}
	zen3 := []string{"avx2", "fma", "f16c"}
	zen5 := append([]string{"avxvnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16"}, zen3...)
	for _, c := range []struct {
		want, arch   string
		built, found []string
		level, err   string
	}{
		{"", "amd64", []string{"go"}, zen5, "go", ""},
		{"", "amd64", all, zen3, "avx2", ""},
		{"", "amd64", all, zen5, "avx512vnni", ""},
		{"avx512bf16", "amd64", all, zen5, "avx512bf16", ""},
		{"", "amd64", all, nil, "go", ""},
		{"go", "amd64", all, zen5, "go", ""},
		{"avxvnni", "amd64", all, zen5, "avxvnni", ""},
		{"", "arm64", []string{"go", "neon", "dotprod", "i8mm"}, []string{"neon", "dotprod"}, "dotprod", ""},
		{"", "riscv64", []string{"go"}, nil, "go", ""},
		{"avxvnni", "amd64", all, zen3, "", "GOINFER_CPU=avxvnni: the processor lacks avxvnni"},
		{"avx512vnni", "amd64", all, zen3, "",
			"GOINFER_CPU=avx512vnni: the processor lacks avx512f, avx512bw, avx512dq, avx512vl, avx512vnni"},
		{"avx2", "amd64", []string{"go"}, zen5, "", "GOINFER_CPU=avx2: this build for amd64 has no such kernels, only go"},
		{"neon", "amd64", all, zen5, "", "GOINFER_CPU=neon: this build for amd64 has no such kernels, only go, avx2, avxvnni, avx512vnni, avx512bf16"},
		{"AVX2", "amd64", all, zen5, "", `GOINFER_CPU="AVX2" is no level: want one of go, avx2, avxvnni, avx512vnni, avx512bf16, neon, dotprod, i8mm`},
	} {
		level, err := choose(c.want, c.arch, c.built, c.found)
		if c.err != "" {
			require.EqualError(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.level, level)
	}
}

func TestLevelFromEnvironment(t *testing.T) {
	t.Setenv(Env, "")
	level, err := ISA()
	require.NoError(t, err)
	require.Contains(t, ISAs(), level)
	for _, l := range ISAs() {
		t.Setenv(Env, l)
		if got, err := ISA(); err == nil {
			require.Equal(t, l, got)
		}
	}
	t.Setenv(Env, "go")
	level, err = ISA()
	require.NoError(t, err)
	require.Equal(t, "go", level)
	t.Setenv(Env, "fast")
	_, err = ISA()
	require.ErrorContains(t, err, "want one of go, ")
}

// The levels ask only for features that are looked for, and each build lists levels that exist.
func TestLevelTable(t *testing.T) {
	known := map[string]string{}
	for _, f := range features {
		known[f.name] = f.arch
	}
	names := map[string]bool{}
	for _, l := range isas {
		names[l.name] = true
		for _, n := range l.needs {
			require.Equal(t, l.arch, known[n], "level %s asks for %s", l.name, n)
		}
	}
	require.Equal(t, "go", built[0])
	for _, b := range built {
		require.True(t, names[b], b)
	}
	ISAs()[0] = "changed"
	require.Equal(t, "go", built[0])
}

// What Linux reports of the processor and what is found agree.
func TestFeaturesAgree(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skipf("no list of flags to compare with: %v", err)
	}
	flags := map[string]bool{}
	// an emulator may show the flags of its host
	wanted := map[string]string{"amd64": "flags", "arm64": "Features"}[runtime.GOARCH]
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == wanted {
			for _, f := range strings.Fields(value) {
				flags[f] = true
			}
		}
	}
	if len(flags) == 0 {
		t.Skipf("no flags of a processor of %s are listed", runtime.GOARCH)
	}
	alias := map[string]string{"sse4.2": "sse4_2", "avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16", "avx512fp16": "avx512_fp16",
		"avxvnni": "avx_vnni", "avxvnniint8": "avx_vnni_int8", "amx-tile": "amx_tile", "amx-int8": "amx_int8", "amx-bf16": "amx_bf16",
		"neon": "asimd", "fp16": "asimdhp", "dotprod": "asimddp"}
	checked := 0
	for _, f := range features {
		if f.arch != runtime.GOARCH || f.name == "avx10" || f.name == "amx-fp16" || f.name == "rvv" || f.name == "zfh" {
			continue // kernels of today do not list these
		}
		name := f.name
		if a := alias[name]; a != "" {
			name = a
		}
		require.Equal(t, flags[name], f.has(), f.name)
		require.Equal(t, flags[name], Has(f.name))
		checked++
	}
	require.NotZero(t, checked)
	require.False(t, Has("neon", "avx2"))
}

func TestParseList(t *testing.T) {
	require.Equal(t, []int{0, 1, 2, 3, 8, 10, 11}, parseList("0-3,8,10-11"))
	require.Equal(t, []int{5}, parseList("5"))
	for _, bad := range []string{"", "x", "3-1", "-1", "0-", "1,,2", "0-99999999999", "0-1000000000"} {
		require.Nil(t, parseList(bad), bad)
	}
	require.LessOrEqual(t, len(parseList(strings.Repeat("0-16000,", 1000)+"1")), 2*maxCPU)
}

func TestCaches(t *testing.T) {
	m := topo{cores: []string{"0", "1", "2", "3"}}.fs()
	put := func(cpu, index int, level, kind, size, shared string) {
		dir := fmt.Sprintf("%s/cpu%d/cache/index%d/", cpuDir, cpu, index)
		for name, s := range map[string]string{"level": level, "type": kind, "size": size, "shared_cpu_list": shared} {
			m[dir+name] = &fstest.MapFile{Data: []byte(s + "\n")}
		}
	}
	for cpu := range 4 {
		self := fmt.Sprint(cpu)
		put(cpu, 0, "1", "Data", "48K", self)
		put(cpu, 1, "1", "Instruction", "32K", self)
		put(cpu, 2, "2", "Unified", "1M", self)
		put(cpu, 3, "3", "Unified", "32768K", []string{"0-1", "2-3"}[cpu/2])
	}
	require.Equal(t, Caches{L1: 48 << 10, L2: 1 << 20, L3: 32 << 20, Last: 64 << 20}, sysfsCaches(m))
	for cpu := range 4 {
		delete(m, fmt.Sprintf("%s/cpu%d/cache/index3/size", cpuDir, cpu))
	}
	require.Equal(t, Caches{L1: 48 << 10, L2: 1 << 20, Last: 4 << 20}, sysfsCaches(m))
	require.Equal(t, Caches{}, sysfsCaches(fstest.MapFS{}))
	for s, want := range map[string]int64{"32K": 32 << 10, "2M": 2 << 20, "1G": 1 << 30, "7": 7, "": 0, "K": 0, "-4K": 0, "99999999999G": 0} {
		require.Equal(t, want, parseSize(s), s)
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct{ info, board, want string }{
		{"processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nflags\t: a b\n", "", "Fast CPU @ 3 GHz"},
		{"processor : 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "", "arm64 implementer 0x41 part 0xd0c"},
		{"processor : 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n", "Raspberry Pi 5 Model B\x00", "Raspberry Pi 5 Model B"},
		{"", "", ""},
	} {
		m := fstest.MapFS{"proc/cpuinfo": {Data: []byte(c.info)}}
		if c.board != "" {
			m["sys/firmware/devicetree/base/model"] = &fstest.MapFile{Data: []byte(c.board)}
		}
		require.Equal(t, c.want, sysfsName(m))
	}
}
