package e2e

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
)

var update = flag.Bool("update", false, "write docs/verdicts.md anew")

const page = "../../docs/verdicts.md"

// TestVerdictsPage keeps docs/verdicts.md what TestVerdicts tests: the page is written from the same list.
func TestVerdictsPage(t *testing.T) {
	t.Parallel()
	want := render(t)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := lineAt(gotLines, i), lineAt(wantLines, i)
		if g != w {
			t.Fatalf("%s:%d says\n%s\nand is tested as\n%s\n(go test ./internal/e2e -run TestVerdictsPage -update writes it anew)", page, i+1, g, w)
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// TestVerdictsComplete: no reason lacks a sample over a protocol, no two samples share a name, and every want has one of the three
// forms of the page.
func TestVerdictsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range samples() {
		if seen[c.test()] {
			t.Errorf("two samples are called %s", c.test())
		}
		seen[c.test()] = true
		seen[c.reason.String()+"/"+c.proto] = true
		if !c.never() && !strings.HasPrefix(c.want, below("")) && !strings.HasSuffix(c.want, " `"+c.reason.String()+"`") {
			t.Errorf("%s: %q is none of the page's forms", c.test(), c.want)
		}
	}
	for _, reason := range authority.Reasons() {
		for _, proto := range protocols {
			if !seen[reason.String()+"/"+proto] {
				t.Errorf("%s is not seen over %s", reason, proto)
			}
		}
	}
}

const pageHead = `# Verdicts, seen from outside

Each reason of the decision over each protocol, with the gateway as a built program and clients on loopback. Written and
kept by the tests: ` + "`go test ./internal/e2e -run TestVerdicts`" + ` asks all of it and compares answer, access log and
the metric ` + "`usher_verdicts_total{reason,proto}`" + `; this page is compared with the list that is tested.

- *421 reason*: the guard answers, and log and metric have the reason.
- *refused by the layer below*: the gateway's HTTP/1.1 and HTTP/2 or quic-go answer before the guard sees the request: with 400 over HTTP/1.1,
  with RST_STREAM (RFC 9113 section 8.1.1) over HTTP/2, with the stream error H3_MESSAGE_ERROR (RFC 9114 section 4.1.2) over HTTP/3. There is no
  verdict, so none is counted. Over HTTP/1.1 and HTTP/2 the access log has the request with the reason ` + "`malformed_request`" + `, the status (0 for a
  stream error) and what was wrong, and ` + "`usher_malformed_requests_total{status,proto}`" + ` counts it; quic-go tells nobody of those that it refuses.
- *cannot occur*: the test shows what comes of the nearest thing to it.

`

var protocolNames = map[string]string{"h1": "HTTP/1.1", "h2": "HTTP/2", "h3": "HTTP/3"}

func render(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(pageHead + "| reason | HTTP/1.1 | HTTP/2 | HTTP/3 |\n|---|---|---|---|\n")
	all := samples()
	for _, reason := range authority.Reasons() {
		fmt.Fprintf(&b, "| `%s` |", reason)
		for _, proto := range protocols {
			fmt.Fprintf(&b, " %s |", cell(all, reason, proto))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## What is asked\n\n`shop`, `api`, `staff`, `members`, `pay`, `modern` and `far` share a certificate, which covers `gone` too; `blog` has one " +
		"of its own. `staff` requires client certificates, `members` takes them, `pay` wants connections of its own, `modern` " +
		"wants TLS 1.3, `far` is on another listener. `PORT` and `FAR` are the ports of the two listeners.\n\n" +
		"| over | what | answer | test: TestVerdicts/ |\n|---|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", protocolNames[c.proto], c.ask, c.want, c.test())
	}
	return b.String()
}

// cell joins the answers of a cell, each once: the guard's own first.
func cell(all []sample, reason authority.Reason, proto string) string {
	var own, others []string
	for _, c := range all {
		if c.reason != reason || c.proto != proto {
			continue
		}
		list := &others
		if strings.HasSuffix(c.want, "`") {
			list = &own
		}
		text := c.want
		if strings.Contains(c.ask, "(library)") {
			text += " (library)"
		}
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	return strings.Join(append(own, others...), "; ")
}
