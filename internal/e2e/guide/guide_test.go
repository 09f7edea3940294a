package guide

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// serve starts the guide and returns its address, with a slash at the end.
func serve(t testing.TB) string {
	t.Helper()
	cmd := exec.Command(testenv.UsherBinary(t), "guide")
	cmd.Env = append(os.Environ(), "TMPDIR="+newHome(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("usher guide: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "The guide: "))
}

// codes asks the API which codes there are.
func codes(t testing.TB, base string) (numbers []int) {
	t.Helper()
	r, err := http.Get(base + "api/codes")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var list struct{ Codes []struct{ Code int } }
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Codes {
		numbers = append(numbers, c.Code)
	}
	return numbers
}

// measured is what the browser measures of a page.
type measured struct {
	Shift float64 // cumulative layout shift
	Paint float64 // milliseconds to the first paint of content
	Bytes int     // of everything that was loaded, decoded
	Wide  int     // pixels that the page takes; phones widen the window to it
	H1    string
}

// measure reads what the browser has measured since the page was opened.
const measure = `(async () => {
	const entries = type => new Promise(done => {
		new PerformanceObserver(list => done(list.getEntries())).observe({type, buffered: true});
		setTimeout(() => done([]), 50);
	});
	const [shifts, paints] = await Promise.all([entries("layout-shift"), entries("paint")]);
	const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
	return {
		Shift: shifts.reduce((sum, e) => sum + e.value, 0),
		Paint: (paints.find(e => e.name === "first-contentful-paint") || {startTime: 0}).startTime,
		Bytes: loaded.reduce((sum, e) => sum + e.decodedBodySize, 0),
		Wide: document.documentElement.scrollWidth,
		H1: document.querySelector("h1").textContent,
	};
})()`

// TestPages opens every page, in the light on a phone and in the dark on a desk: nothing goes to the console, nobody else is asked
// for anything, nothing moves once it is painted, nothing is cut off, and all of it is light.
func TestPages(t *testing.T) {
	b := newBrowser(t)
	base := serve(t)
	paths := []string{"", "?q=etag", "?q=zzz", "?class=4"}
	for _, n := range codes(t, base) {
		paths = append(paths, fmt.Sprint(n))
	}
	if len(paths) < 60 {
		t.Fatalf("only %d pages", len(paths))
	}
	var slowest float64
	for _, v := range []view{phone, {width: 1280, height: 900, dark: true}} {
		p := b.newPage(v)
		for _, path := range paths {
			p.open(base + path)
			var m measured
			p.eval(measure, &m)
			p.check(base)
			if m.Shift > 0.01 || m.Bytes > 60_000 || m.Wide > v.width || m.H1 == "" {
				t.Errorf("%s, %v: %+v", path, v, m)
			}
			slowest = max(slowest, m.Paint)
		}
		p.close()
	}
	t.Logf("the slowest first paint took %.0f ms", slowest)
}

const (
	shown = `[...document.querySelectorAll(".row")].filter(e => e.offsetParent).map(e => e.querySelector(".num").textContent).join(" ")`
	count = `document.querySelector("#count").textContent`
)

// TestKeyboard searches, filters and goes to and fro without a mouse.
func TestKeyboard(t *testing.T) {
	b := newBrowser(t)
	base := serve(t)
	p := b.newPage(desk)
	p.open(base)
	p.press("Tab")
	if s := p.str("document.activeElement.textContent"); s != "Skip to the content" {
		t.Errorf("the first stop is %q", s)
	}
	p.focus("#q")
	p.write("misdriected")
	if got := p.str(shown); got != "421" {
		t.Errorf("typing %q shows %s", "misdriected", got)
	}
	if got := p.str(count); got != "1 code" {
		t.Errorf("it is announced as %q", got)
	}
	p.focus(".row:not([hidden]) a")
	p.drain()
	p.press("Enter")
	p.wait("421 by Enter")
	if got := p.str("location.href"); got != base+"421" {
		t.Errorf("Enter leads to %s", got)
	}
	p.focus("#back")
	p.press("Enter")
	p.until(`location.pathname === "/" && document.querySelector("#q")`)
	p.open(base)
	p.focus(`.chip[data-class="5"]`)
	p.press("Enter")
	if got := p.str(shown); !strings.HasPrefix(got, "500 501") || strings.Contains(got, "4") && !strings.Contains(got, "504") {
		t.Errorf("the class 5xx shows %s", got)
	}
	if got := p.str(`document.querySelector(".chip[aria-current]").textContent + " " + location.search`); got != "5xx ?class=5" {
		t.Errorf("the class is shown as %s", got)
	}
	// Enter searches the texts too.
	p.open(base)
	p.focus("#q")
	p.write("inode")
	p.drain()
	p.press("Enter")
	p.wait("a search by Enter")
	if got := p.str(shown); got != "304" {
		t.Errorf("the texts have it in %s", got)
	}
	p.open(base + "404")
	p.focus(`a[rel="next"]`)
	p.drain()
	p.press("Enter")
	p.wait("next")
	if got := p.str("location.href"); got != base+"405" {
		t.Errorf("next leads to %s", got)
	}
	p.focus(".copy")
	// What the button says is taken back after a while.
	p.eval(`{ const button = document.activeElement; window.said = ""; new MutationObserver(() => said += button.textContent).observe(button, {childList: true}); }`, nil)
	p.press("Enter")
	p.until(`/Copied|Selected/.test(said)`)
	p.check(base)
}

// TestFoundStays: what the server has found, in other classes or not at all, is one answer, which the script leaves as it is.
func TestFoundStays(t *testing.T) {
	b := newBrowser(t)
	base := serve(t)
	const seen = `[...document.querySelectorAll("#count, .empty, .row")].filter(e => e.offsetParent).map(e => e.textContent.trim()).join("\n")`
	unscripted, scripted := b.newPage(plain), b.newPage(desk)
	for _, path := range []string{"?q=zzz", "?q=etag", "?q=etag&class=5", "?q=404"} {
		unscripted.open(base + path)
		scripted.open(base + path)
		if want, got := unscripted.str(seen), scripted.str(seen); got != want || want == "" {
			t.Errorf("%s is\n%s\nand with the script\n%s", path, want, got)
		}
	}
	scripted.check(base)
}

// TestWithoutScript does the same with JavaScript switched off.
func TestWithoutScript(t *testing.T) {
	b := newBrowser(t)
	base := serve(t)
	p := b.newPage(plain)
	p.open(base)
	p.focus("#q")
	p.write("misdriected reqest")
	p.drain()
	p.press("Enter")
	p.wait("a search")
	if got := p.str(shown + ` + ", " + ` + count); got != "421, 1 code for “misdriected reqest”" {
		t.Errorf("the search finds %s", got)
	}
	p.open(base)
	p.focus(`.chip[data-class="2"]`)
	p.drain()
	p.press("Enter")
	p.wait("a class")
	if got := p.str(shown); !strings.HasPrefix(got, "200 201") || !strings.HasSuffix(got, "208 226") {
		t.Errorf("the class 2xx shows %s", got)
	}
	p.open(base + "421")
	if n := p.str(`document.querySelectorAll(".copy").length`); n != "0" {
		t.Errorf("%s buttons that do nothing", n)
	}
	p.focus("#watch button")
	p.drain()
	p.press("Enter")
	p.wait("watch it happen")
	checkWatched(t, p)
	p.check(base)
}

// TestWatch: a real misdirected request and its retry are drawn on the page about 421.
func TestWatch(t *testing.T) {
	b := newBrowser(t)
	base := serve(t)
	p := b.newPage(desk)
	p.open(base + "421")
	p.focus("#watch button")
	p.press("Enter")
	p.until(`document.querySelector("#watched table")`)
	checkWatched(t, p)
	p.check(base)
}

// checkWatched: on one connection a request is served and another one misdirected, and on a second connection that one is served.
func checkWatched(t *testing.T, p *page) {
	t.Helper()
	var cells [][]string
	p.eval(`[...document.querySelectorAll("table tr")].map(r => [...r.cells].map(c => c.textContent.replace(/\s+/g, " ").trim()))`, &cells)
	if len(cells) != 4 || len(cells[0]) != 3 {
		t.Fatalf("drawn is %q", cells)
	}
	for _, want := range []struct {
		row, column int
		text        string
	}{
		{0, 1, "Connection 1HTTP/2, opened for blog.localhost"}, {0, 2, "Connection 2HTTP/2, opened for api.localhost"},
		{1, 1, "200 OK"}, {2, 1, "421 Misdirected Request"}, {2, 1, "certificate_mismatch"}, {2, 1, "api.localhost"}, {3, 2, "200 OK"},
	} {
		if got := cells[want.row][want.column]; !strings.Contains(got, want.text) {
			t.Errorf("row %d, column %d is %q, want %q", want.row, want.column, got, want.text)
		}
	}
	if cells[1][2] != "" || cells[2][2] != "" || cells[3][1] != "" {
		t.Errorf("drawn on the wrong connection: %q", cells)
	}
}

// TestExported: the files work from a disk, with the search that a script can do.
func TestExported(t *testing.T) {
	b := newBrowser(t)
	dir := t.TempDir()
	if out, err := exec.Command(testenv.UsherBinary(t), "guide", "export", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	base := "file://" + dir + "/"
	p := b.newPage(desk)
	p.open(base + "index.html")
	p.focus("#q")
	p.write("misdriected")
	if got := p.str(shown); got != "421" {
		t.Errorf("the search shows %s", got)
	}
	p.focus(".row:not([hidden]) a")
	p.drain()
	p.press("Enter")
	p.wait("421")
	if got := p.str(`document.querySelector("h1").textContent`); got != "421 Misdirected Request" {
		t.Errorf("it leads to %q", got)
	}
	p.open(base + "index.html")
	p.focus("#q")
	p.write("HTTP/1.1 404 Not Found")
	if got := p.str(shown); got != "404" {
		t.Errorf("for a status line the search shows %q", got)
	}
	p.open(base + "index.html")
	p.focus(`.chip[data-class="3"]`)
	p.press("Enter")
	if got := p.str(shown); !strings.HasPrefix(got, "300 301") || strings.Contains(got, "200") {
		t.Errorf("the class 3xx shows %s", got)
	}
	p.check(base)
}
