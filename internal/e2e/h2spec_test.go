package e2e

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
)

// How many cases h2spec has, with the strict ones. The version is pinned in tools/go.mod.
const h2specCases = 146

// An h2specReport is what h2spec -j writes, as far as it is looked at.
type h2specReport struct {
	Suites []struct {
		Name  string `xml:"name,attr"`
		ID    string `xml:"package,attr"`
		Cases []struct {
			Title   string      `xml:"classname,attr"`
			Failure *h2specText `xml:"failure"`
			Error   *h2specText `xml:"error"` // h2spec calls its failures so
			Skipped *struct{}   `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type h2specText struct {
	Text string `xml:",chardata"`
}

// TestH2spec has h2spec, the conformance test of HTTP/2 servers, run whole and strictly against a site whose answer is fixed and
// against one behind which an upstream stands. It sends no SNI to an IP address, so its site is the default one.
func TestH2spec(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-modfile=tools/go.mod", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build h2spec: %v\n%s", err, out)
	}
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // all of it first: this server closes the request when it begins to answer
		io.WriteString(w, "from behind\n")
	}))
	defer behind.Close()
	dir := t.TempDir()
	testca.New(t).WriteServer(t, dir, "it", "127.0.0.1")
	s := serve(t, dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout}
state: ./state
default_site: it
sites:
  - name: it
    hosts: [127.0.0.1]
    tls: {certificates: [{certificate: it.pem, key: it.key}]}
    routes:
      - {path: /fixed, respond: {body: "fixed\n"}}
      - {path: /proxied, upstream: %q}
`, behind.URL))
	t.Run("sites", func(t *testing.T) {
		for _, path := range []string{"/fixed", "/proxied"} {
			t.Run(path[1:], func(t *testing.T) {
				t.Parallel() // it mostly waits
				file := filepath.Join(t.TempDir(), "report.xml")
				// By itself it waits for 2 s for what must come, which a busy machine may need longer for.
				out, errs, code := command(t, dir, "", program, "--tls", "--insecure", "--strict", "--timeout", "15",
					"--port", s.port(t, "public"), "--path", path, "--junit-report", file)
				report, err := os.ReadFile(file)
				if err != nil {
					t.Fatalf("exit %d without a report:\n%s\n%s", code, tail(out, 20), errs)
				}
				judgeH2spec(t, report)
				if code != 0 {
					t.Errorf("exit %d", code)
				}
			})
		}
	})
	// The cases that end with an error end their connections alone.
	if r := s.metrics(t, "usher_requests_total"); len(r) == 0 {
		t.Error("no request was counted")
	}
}

// judgeH2spec fails the test for each case that failed or was left out.
func judgeH2spec(t *testing.T, text []byte) {
	t.Helper()
	var report h2specReport
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatalf("the report: %v\n%s", err, text)
	}
	ran := 0
	for _, suite := range report.Suites {
		for i, c := range suite.Cases {
			ran++
			name := fmt.Sprintf("%s #%d (%s: %s)", suite.ID, i+1, suite.Name, c.Title)
			switch wrong := cmp.Or(c.Failure, c.Error); {
			case wrong != nil:
				t.Errorf("%s failed; what is wanted, and last what came: %s", name, strings.ReplaceAll(wrong.Text, "\n", "; "))
			case c.Skipped != nil:
				t.Errorf("%s was left out", name)
			}
		}
	}
	if ran != h2specCases {
		t.Errorf("%d cases, want %d", ran, h2specCases)
	}
}
