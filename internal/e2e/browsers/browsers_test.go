package browsers

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write what is measured to docs/browsers.md")

// TestBrowsers lets each browser make each visit and prints what came of it as a table.
func TestBrowsers(t *testing.T) {
	var mu sync.Mutex
	rows, versions := map[string]string{}, map[string]string{}
	t.Run("visits", func(t *testing.T) {
		for _, b := range witnesses {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				version := b.version(t)
				mu.Lock()
				versions[b.name] = version
				mu.Unlock()
				for _, c := range trials() {
					if _, ok := c.want[b.name]; !ok {
						continue
					}
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						o := c.run(t, b)
						if n := c.want[b.name].connections; n != 0 && o.connections() != n {
							// On a crowded machine the next request may come before the browser has let go of a connection.
							t.Logf("%d connections, once more: %s", o.connections(), o.trace())
							o = c.run(t, b)
						}
						c.check(t, b, o)
						mu.Lock()
						defer mu.Unlock()
						rows[key(c, b)] = row(c, b, o)
					})
				}
			})
		}
	})
	text := table(rows)
	t.Logf("Chromium %s, Firefox %s\n%s", versions["Chromium"], versions["Firefox"], text)
	if !*update {
		return
	}
	if t.Failed() || len(rows) != visits() {
		t.Fatalf("%s is not written: %d of %d visits were made, or not all were as wanted", pageFile, len(rows), visits())
	}
	if err := rewrite(fmt.Sprintf("Chromium %s, Firefox %s, `%s`:\n\n%s", versions["Chromium"], versions["Firefox"], updateCommand, text)); err != nil {
		t.Fatal(err)
	}
}

const updateCommand = "go test -race -count=1 ./internal/e2e/browsers -update"

// visits is how many there are.
func visits() int {
	n := 0
	for _, c := range trials() {
		n += len(c.want)
	}
	return n
}

func key(c trial, b browser) string { return "| " + c.name + " | " + b.name + " |" }

func row(c trial, b browser, o outcome) string {
	return fmt.Sprintf("%s %d | %d | %s | %s |\n", key(c, b), o.connections(), o.misdirected(), o.page(), o.trace())
}

// table puts rows into the order of the trials.
func table(rows map[string]string) string {
	var text strings.Builder
	text.WriteString("| case | browser | connections | 421s | the page saw | on the wire |\n|---|---|---|---|---|---|\n")
	for _, c := range trials() {
		for _, b := range witnesses {
			text.WriteString(rows[key(c, b)])
		}
	}
	return text.String()
}

const (
	pageFile = "../../../docs/browsers.md"
	begin    = "<!-- measured -->\n"
	end      = "<!-- end -->\n"
)

// rewrite puts the text between the marks of the page.
func rewrite(text string) error {
	page, err := os.ReadFile(pageFile)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has lost its marks %q and %q", pageFile, begin, end)
	}
	return os.WriteFile(pageFile, []byte(head+begin+text+end+tail), 0o644)
}

// TestPage: the page has a row for each visit, and it says what the visit is tested for.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	_, measured, _ := strings.Cut(string(page), begin)
	measured, _, _ = strings.Cut(measured, end)
	for _, c := range trials() {
		for _, b := range witnesses {
			w, ok := c.want[b.name]
			if !ok {
				continue
			}
			_, rest, found := strings.Cut(measured, "\n"+key(c, b))
			line, _, _ := strings.Cut(rest, "\n")
			connections, rest, _ := strings.Cut(strings.TrimPrefix(line, " "), " ")
			switch {
			case !found:
				t.Errorf("%s has no row %s", pageFile, key(c, b))
			case w.connections != 0 && connections != fmt.Sprint(w.connections), !strings.HasPrefix(rest, fmt.Sprintf("| %d | %s | ", w.misdirected, w.page)):
				t.Errorf("%s: %s says %s, tested is %+v (%s)", pageFile, key(c, b), line, w, updateCommand)
			}
		}
	}
	if n := strings.Count(measured, "\n| ") - 1; n != visits() {
		t.Errorf("%s has %d rows, there are %d visits", pageFile, n, visits())
	}
}
