package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/report"
)

// script uses the page as a person does, and leaves what is to be seen in the title.
const script = `<script>
var seen = [], find = document.getElementById("find"), bad = document.getElementById("bad");
function shown(s) { return Array.prototype.filter.call(document.querySelectorAll(s), function (e) { return !e.hidden && !e.classList.contains("faded"); }).length; }
function look() { seen.push(shown(".finding") + "/" + shown("tbody:not(.group) .row") + "/" + shown(".arc")); }
function type(text) { find.value = text; find.dispatchEvent(new Event("input")); }
look();
type("staff.test"); look();
type("no such host"); look();
type(""); bad.checked = true; bad.dispatchEvent(new Event("change")); look();
document.querySelectorAll("input.severity").forEach(function (l) { l.checked = l.value === "critical"; l.dispatchEvent(new Event("change")); }); look();
document.title = "SEEN " + seen.join(" ");
</script>`

var (
	seenTitle = regexp.MustCompile(`<title>SEEN ([^<]*)</title>`)
	console   = regexp.MustCompile(`(?m)^.*CONSOLE.*$`)
)

// TestPage opens the page of a report in Chromium: nothing is said on the console, which is where a request to anywhere would be, since the
// page forbids them all; the filter filters; and nothing but its map and the lines of configurations is wider than a telephone, which begins with the hosts.
func TestPage(t *testing.T) {
	chromium := testenv.Browser(t, "chromium", "chromium-browser", "google-chrome")
	s := naive(t)
	s.probe(t, "--html", "page.html", "--protocols", "h1,h2")
	text, err := os.ReadFile(filepath.Join(s.dir, "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	steps := strings.Fields(s.open(t, chromium, string(text), script, "--window-size=1200,900"))
	all, staff, none, problems, critical := steps[0], steps[1], steps[2], steps[3], steps[4]
	if none != "0/0/0" || staff == all || staff == none || problems == all || critical == problems || strings.HasPrefix(critical, "0/") {
		t.Errorf("all %s, staff.test %s, no such host %s, problems only %s, critical only %s (findings/rows/arcs)", all, staff, none, problems, critical)
	}
	t.Logf("findings/rows/arcs: all %s, staff.test %s, problems only %s, critical only %s", all, staff, problems, critical)
	const room = `<script>
var hosts = document.querySelector("svg .frame").getBoundingClientRect();
var tables = Array.prototype.map.call(document.querySelectorAll("table, .legend, .finding pre.try"), function (e) { return e.scrollWidth - e.clientWidth; });
document.title = "SEEN " + [document.documentElement.scrollWidth, innerWidth, Math.max.apply(null, tables), Math.round(hosts.left), Math.round(hosts.right)].join(" ");
</script>`
	var wide, window, over, left, right int
	seen := s.open(t, chromium, string(text), room, "--window-size=390,800")
	if _, err := fmt.Sscan(seen, &wide, &window, &over, &left, &right); err != nil || window > 500 || wide > window {
		t.Errorf("on a telephone the page is %d wide in a window of %d, which scrolls to and fro (%v, %q)", wide, window, err, seen)
	}
	if over > 0 || left < 0 || right > window {
		t.Errorf("on a telephone tables, the legend or commands go %d over their width, and the hosts of the map are from %d to %d in a window of %d", over, left, right, window)
	}
}

// TestPagePrints: a map of many hosts is shrunk to a sheet of paper, and leaves none empty.
func TestPagePrints(t *testing.T) {
	chromium := testenv.Browser(t, "chromium", "chromium-browser", "google-chrome")
	s := &server{cast: &cast{dir: t.TempDir()}}
	r := &probe.Report{}
	for i := range 40 {
		name := fmt.Sprintf("h%d.test", i)
		r.Hosts = append(r.Hosts, probe.HostReport{Name: name, Addresses: []string{"192.0.2.1:443"}})
		r.Pairs = append(r.Pairs, probe.Pair{Connection: name, Host: "h39.test", Protocol: "h2", Coalescible: true, Outcome: probe.Open, Status: 200})
	}
	r.Count()
	var page strings.Builder
	if err := report.HTML(&page, r, time.Now(), "test"); err != nil {
		t.Fatal(err)
	}
	s.write(t, "page.html", page.String())
	printed := filepath.Join(s.dir, "page.pdf")
	headless(t, chromium, "--no-pdf-header-footer", "--print-to-pdf="+printed, "file://"+filepath.Join(s.dir, "page.html"))
	text, err := os.ReadFile(printed)
	if err != nil {
		t.Fatal(err)
	}
	// One sheet for the map with what is above it, two for the hosts, one for the rest.
	if n := len(sheet.FindAll(text, -1)); n < 2 || n > 4 {
		t.Errorf("%d sheets of paper", n)
	}
}

var sheet = regexp.MustCompile(`/Type /Page\b`)

// open shows a page with a script of ours in Chromium, and returns what the script put into the title behind SEEN.
func (s *server) open(t *testing.T, chromium, page, script string, flags ...string) string {
	t.Helper()
	s.write(t, "tried.html", strings.Replace(page, "</body>", script+"</body>", 1))
	out, errs := headless(t, chromium, append(flags, "--enable-logging=stderr", "--dump-dom", "file://"+filepath.Join(s.dir, "tried.html"))...)
	if said := console.FindString(errs); said != "" {
		t.Errorf("on the console: %s", said)
	}
	m := seenTitle.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("the script did not run through:\n%s", errs)
	}
	return m[1]
}

// headless runs Chromium to its end and returns what it wrote.
func headless(t *testing.T, chromium string, args ...string) (stdout, stderr string) {
	t.Helper()
	home, err := os.MkdirTemp("", "usher-page-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // processes that it leaves behind may still write there
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s could not be removed", home)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + home}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, 5*time.Second
	// Those have its output open, too: it has ended well all the same, and written what it had to.
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out.String(), errs.String()
}
