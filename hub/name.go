package hub

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// Name is the name of a model on a hub.
type Name struct {
	Ollama   bool   // in Ollama's registry, otherwise on Hugging Face
	Host     string // of another registry than Ollama's own
	Owner    string // the namespace; "library" where an Ollama name has none
	Repo     string
	Tag      string // a quantisation or a file, or Ollama's tag; empty for the default
	Revision string // a branch, a tag or a commit on Hugging Face; empty for main
}

// String spells the name in full, as [ParseName] reads it.
func (n Name) String() string {
	s := "hf.co/" + n.Owner + "/" + n.Repo
	if n.Ollama {
		s = "ollama:" + n.model()
	}
	if n.Tag != "" {
		s += ":" + n.Tag
	}
	if n.Revision != "" {
		s += "@" + n.Revision
	}
	return s
}

// model is an Ollama name without its tag, in its short form.
func (n Name) model() string {
	s := n.Repo
	if n.Owner != "library" || n.Host != "" {
		s = n.Owner + "/" + s
	}
	if n.Host != "" {
		s = n.Host + "/" + s
	}
	return s
}

// id is OWNER/REPO.
func (n Name) id() string { return n.Owner + "/" + n.Repo }

var (
	wordOf   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	hostOf   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?$`)
	commitOf = regexp.MustCompile(`^[0-9a-f]{40}$`)
	prefixes = []string{"hf.co/", "huggingface.co/", "hf:"}
)

// ParseName reads the name of a model on a hub: hf.co/OWNER/REPO[:QUANT|:FILE][@REVISION], also
// with huggingface.co/ or hf: in front, or ollama:[HOST/][NAMESPACE/]NAME[:TAG]. ok is false for a
// name of another kind; err says what is wrong with one of these.
func ParseName(s string) (n Name, ok bool, err error) {
	if rest, found := strings.CutPrefix(s, "ollama:"); found {
		n, err = parseOllama(s, rest)
		return n, true, err
	}
	for _, prefix := range prefixes {
		if rest, found := strings.CutPrefix(s, prefix); found {
			n, err = ParseRepo(rest)
			return n, true, err
		}
	}
	return n, false, nil
}

// ParseRepo reads OWNER/REPO[:QUANT|:FILE][@REVISION], as llama.cpp's -hf takes it.
func ParseRepo(s string) (n Name, err error) {
	rest, revision, hasRevision := strings.Cut(s, "@")
	id, tag, hasTag := strings.Cut(rest, ":")
	owner, repo, found := strings.Cut(id, "/")
	bad := func(what string) (Name, error) {
		return Name{}, fault.Of(fault.ErrInvalid, fmt.Errorf("want OWNER/REPO[:QUANT|:FILE][@REVISION], found %.100q%s", s, what))
	}
	switch {
	case !found || !wordOf.MatchString(owner) || !wordOf.MatchString(repo) || strings.Contains(owner+repo, "--") || strings.Contains(owner+repo, ".."):
		return bad("")
	case hasTag && checkFile(tag) != nil:
		return bad(": the part after the colon is no name of a file")
	case hasRevision && (checkFile(revision) != nil || len(revision) > 200):
		return bad(": the part after the @ is no revision")
	}
	return Name{Owner: owner, Repo: repo, Tag: tag, Revision: revision}, nil
}

// parseOllama reads [HOST/][NAMESPACE/]NAME[:TAG].
func parseOllama(whole, s string) (Name, error) {
	n := Name{Ollama: true, Owner: "library"}
	slash := strings.LastIndexByte(s, '/')
	name, tag, hasTag := strings.Cut(s[slash+1:], ":")
	n.Repo, n.Tag = name, tag
	if slash >= 0 {
		n.Owner = s[:slash]
		if host, owner, found := strings.Cut(n.Owner, "/"); found {
			n.Host, n.Owner = host, owner
		}
	}
	switch {
	case !wordOf.MatchString(n.Repo), !wordOf.MatchString(n.Owner), hasTag && !wordOf.MatchString(n.Tag),
		n.Host != "" && !hostOf.MatchString(n.Host), strings.Contains(n.Owner+n.Repo+n.Tag+n.Host, ".."):
		return Name{}, fault.Of(fault.ErrInvalid, fmt.Errorf("want ollama:NAME[:TAG], found %.100q", whole))
	}
	return n, nil
}

// maxFile bounds the length of a file's name in a repository.
const maxFile = 512

// checkFile refuses the name of a file in a repository that could lead out of the folder it is put
// into, on any system.
func checkFile(name string) error {
	bad := func(what string) error { return fmt.Errorf("the name of a file %.100q: %s", name, what) }
	if name == "" || len(name) > maxFile {
		return bad(fmt.Sprintf("want 1 to %d bytes", maxFile))
	}
	for part := range strings.SplitSeq(name, "/") {
		base, _, _ := strings.Cut(strings.ToUpper(part), ".")
		switch {
		case part == "" || part == "." || part == "..":
			return bad("it leads to another folder")
		case len(part) > 255:
			return bad("a part of over 255 bytes")
		case strings.ContainsAny(part, `\:*?"<>|`) || strings.ContainsFunc(part, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0xfffd }):
			return bad("it has characters that not all systems take")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return bad("it ends in a dot or in a space")
		case devices[base]:
			return bad("it is a device on some systems")
		}
	}
	return nil
}

// devices are the names that stand for devices on Windows, with any ending.
var devices = map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true, "CONIN$": true, "CONOUT$": true}

func init() {
	for _, n := range "123456789" {
		devices["COM"+string(n)], devices["LPT"+string(n)] = true, true
	}
}
