package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

var (
	demoStatus = regexp.MustCompile(`: (\d{3})$`)
	demoFolder = regexp.MustCompile(`removes (\S+?)\.?$`)
	httpStatus = regexp.MustCompile(`(?m)^HTTP/\S+ (\d{3})`)
)

// TestDemo runs the commands that the demo prints, and they give what it says.
func TestDemo(t *testing.T) {
	t.Parallel()
	testenv.Tool(t, "curl")
	binary := testenv.UsherBinary(t)
	p := start(t, t.TempDir(), "demo")
	folder := demoFolder.FindStringSubmatch(p.stdout.awaitText(t, 0, "Ctrl-C ends it"))
	if folder == nil {
		t.Fatalf("the demo does not say what it removes:\n%s", p.stdout.text())
	}
	_, commands, ok := strings.Cut(p.stdout.text(), "Try it")
	if !ok {
		t.Fatal("the demo prints no commands")
	}
	// "usher" is the program that runs the demo.
	path := "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH") + " && "
	titles, curls := "", 0
	for line := range strings.SplitSeq(commands, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# "):
			titles = line
		case strings.HasPrefix(line, "curl "):
			curls++
			mark := p.stdout.mark()
			out, errs, code := command(t, "", "", "sh", "-c", path+line)
			want := "200"
			if m := demoStatus.FindStringSubmatch(titles); m != nil {
				want = m[1]
			}
			if m := httpStatus.FindStringSubmatch(out); code != 0 || m == nil || m[1] != want {
				t.Errorf("%s: want %s, exit %d\n%s\n%s%s", titles, want, code, line, out, errs)
			}
			p.stdout.await(t, mark, "the request", func(line string) bool { return strings.Contains(line, " "+want+" ") })
		case strings.HasPrefix(line, "usher "):
			if out, errs, code := command(t, "", "", "sh", "-c", path+line); code > 1 {
				t.Errorf("%s: exit %d\n%s%s", line, code, out, errs)
			}
		}
	}
	if curls < 5 {
		t.Errorf("%d curl commands", curls)
	}
	p.signal(t, syscall.SIGINT)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(folder[1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", folder[1], err)
	}
}

// TestDemoOnce: the requests of the demo are answered as they must be, by a program that needs nothing but itself.
func TestDemoOnce(t *testing.T) {
	t.Parallel()
	out, errs, code := command(t, t.TempDir(), "", "env", "-i", "PATH=/nowhere", "TMPDIR="+t.TempDir(), testenv.UsherBinary(t), "demo", "--once")
	if code != 0 || !strings.Contains(out, "all of them answered as they must be") || errs != "" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, words := range []string{"421 certificate_mismatch", "421 client_auth_mismatch", "421 coalescing_refused", "421 unknown_origin", "308 redirect"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %s in\n%s", words, out)
		}
	}
}
