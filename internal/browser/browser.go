// Package browser opens the pages that tests write in a headless browser.
//
// The browser is the one that GOINFER_BROWSER names, such as chromium, and must work; a test is
// skipped, saying so, where none is named, since to start one takes seconds.
package browser

import (
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// find returns the browser, and skips the test where none is named.
func find(t testing.TB) string {
	t.Helper()
	name := os.Getenv("GOINFER_BROWSER")
	if name == "" {
		t.Skip("no browser is named: GOINFER_BROWSER=chromium has one look at the page")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("GOINFER_BROWSER: %v", err)
	}
	return path
}

// patience is how long a page may take.
const patience = 2 * time.Minute

// Open shows a page of package page to the browser, with extra pieces of HTML before its end, and
// returns the document as scripts left it. It fails the test unless the scripts ran through without
// a fault, and if the page names anything outside itself.
func Open(t testing.TB, path string, extra ...string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range Outside(string(text)) {
		t.Errorf("%s: %s", path, fault)
	}
	document, err := dump(t, find(t), string(text), extra)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := healthy(document); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return document
}

// dump has the browser read the page and write what became of it. No name is resolved.
func dump(t testing.TB, browser, text string, extra []string) (string, error) {
	const end = `<script>document.documentElement.dataset.ran`
	before, after, ok := strings.Cut(text, end)
	if !ok {
		return "", errors.New("the page does not say when its scripts ran through")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(before+strings.Join(extra, "\n")+end+after), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1600,1200", "--user-data-dir="+filepath.Join(dir, "profile"), "--virtual-time-budget=4000", "--dump-dom", "file://"+filepath.ToSlash(file))
	cmd.WaitDelay = 5 * time.Second // its children may hold the pipe
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", browser, err, faults.String())
	}
	return string(out), nil
}

var (
	ranMark   = regexp.MustCompile(`<html[^>]* data-ran="yes"`)
	errorMark = regexp.MustCompile(`<html[^>]* data-error="([^"]*)"`)
)

// healthy reports what a document says about its scripts.
func healthy(document string) error {
	if m := errorMark.FindStringSubmatch(document); m != nil {
		return fmt.Errorf("a script failed, or something was to be loaded: %s", html.UnescapeString(m[1]))
	}
	if !ranMark.MatchString(document) {
		return errors.New("the scripts did not run through")
	}
	return nil
}

var (
	tag       = regexp.MustCompile(`(?s)<[a-zA-Z][^>]*>`)
	reference = regexp.MustCompile(`(?is)\s(src|href|xlink:href|srcset|action|poster|data)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)`)
	styled    = regexp.MustCompile(`(?is)(?:\burl\(\s*["']?([^)"']*)|@import\s+([^;]*))`)
)

// Outside lists what a document refers to outside itself: anything but fragments and data.
func Outside(document string) []string {
	var faults []string
	check := func(where, to string) {
		if to = strings.Trim(html.UnescapeString(to), `"' `); !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "data:") {
			faults = append(faults, fmt.Sprintf("%s refers to %q outside the page", where, to))
		}
	}
	for _, element := range tag.FindAllString(document, -1) {
		for _, m := range reference.FindAllStringSubmatch(element, -1) {
			check(m[1], m[2])
		}
	}
	for _, m := range styled.FindAllStringSubmatch(document, -1) {
		check("a style", m[1]+m[2])
	}
	return faults
}
