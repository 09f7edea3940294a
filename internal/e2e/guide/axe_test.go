package guide

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// axeVersion is the version of axe-core that judges. A newer one may find more.
const axeVersion = "4.14.1"

// axe returns the source of axe-core, which npm fetches once for this user.
func axe(t testing.TB) string {
	t.Helper()
	npm := testenv.Tool(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "usher-test", "axe-core-"+axeVersion)
	path := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if source, err := os.ReadFile(path); err == nil {
		return string(source)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "axe-core@"+axeVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		if list := strings.Split(os.Getenv(testenv.RequireVar), ","); slices.Contains(list, "all") || slices.Contains(list, "npm") {
			t.Fatalf("npm does not get axe-core: %v\n%s", err, out)
		}
		t.Skipf("npm does not get axe-core (%s=npm makes this a failure): %v\n%s", testenv.RequireVar, err, out)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// A violation is what axe-core finds.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string `json:"html"`
		FailureSummary string
	}
}

// TestAccessible: axe-core finds nothing, by the rules of WCAG 2.2 AA and its own best practices, in the light, in the dark and on a
// phone. All pages of codes have one form; the ones that are looked at have all there is between them.
func TestAccessible(t *testing.T) {
	source := axe(t)
	b := newBrowser(t)
	base := serve(t)
	judge := func(p *page, what string) {
		t.Helper()
		p.eval(source+"; undefined", nil)
		var found struct {
			Violations []violation
			Passes     int
		}
		p.eval(`axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
			.then(r => ({Violations: r.violations, Passes: r.passes.length}))`, &found)
		for _, v := range found.Violations {
			for _, n := range v.Nodes {
				t.Errorf("%s: %s (%s): %s\n%.200s\n%s", what, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
			}
		}
		if found.Passes < 15 {
			t.Errorf("%s: only %d rules were passed: was the page there?", what, found.Passes)
		}
	}
	for _, v := range []view{desk, night, phone} {
		p := b.newPage(v)
		for _, path := range []string{"", "?q=redirct", "?q=zzz", "?class=4", "104", "200", "306", "421", "510", "419", "nothing"} {
			p.open(base + path)
			judge(p, fmt.Sprintf("/%s, %v", path, v))
		}
		p.forgive() // two of these are not found, which the console notes
		p.open(base + "421")
		p.eval(`document.querySelector("#watch button").click()`, nil)
		p.until(`document.querySelector("#watched table")`)
		judge(p, "watched")
		p.check(base)
		p.close()
	}
}
