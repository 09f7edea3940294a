package probe

import (
	"regexp"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe"
)

var statusLine = regexp.MustCompile(`(?m)^HTTP/[0-9.]+ ([0-9]{3})`)

var leadingDigits = regexp.MustCompile(`^[0-9]{3}`)

// TestTry: the command of a finding, pasted into a shell, shows what the finding says: the same status, the same page, and that a session was
// resumed where one was.
func TestTry(t *testing.T) {
	testenv.Tool(t, "curl")
	testenv.Tool(t, "openssl")
	for _, test := range []struct {
		name  string
		start func(*testing.T) *server
		must  []string // id, check and kind that must have a command
	}{
		{"nginx", nginx, []string{"uncovered resume"}},
		{"haproxy", haproxy, []string{"bypass resume", "uncovered resume", "bypass sni no-sni", "bypass sni unknown-sni", "bypass reuse"}},
		{"a naive server in Go", naive, []string{"uncovered resume", "bypass sni upper-case-sni", "bypass parse absolute-form"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.start(t)
			seen := map[string]bool{}
			for _, more := range [][]string{nil, {"--cert", "me.pem", "--key", "me.key"}} {
				r, _ := s.probe(t, append(more, "--protocols", "h1,h2")...)
				for i := range r.Findings {
					f := &r.Findings[i]
					what := strings.TrimSpace(strings.Join([]string{string(f.ID), string(f.Check), string(f.Kind)}, " "))
					key := what + " " + string(f.Protocol)
					if f.Try == "" || seen[key] {
						continue
					}
					seen[what], seen[key] = true, true
					s.try(t, f, what)
				}
			}
			for _, what := range test.must {
				if !seen[what] {
					t.Errorf("%s: no finding with a command", what)
				}
			}
		})
	}
}

func (s *server) try(t *testing.T, f *probe.Finding, what string) {
	t.Helper()
	command := strings.NewReplacer(" CERT ", " me.pem ", " KEY ", " me.key ").Replace(f.Try)
	out, _ := run(t, s.dir, "sh", "-c", command)
	status := leadingDigits.FindString(f.Got)
	if m := statusLine.FindAllStringSubmatch(out, -1); len(m) != 1 || m[0][1] != status {
		t.Errorf("%s over %s: %s\n%s\nshows %q, want %s", what, f.Protocol, f.Got, command, m, status)
	}
	host, _, _ := strings.Cut(f.Host, ":")
	if strings.Contains(f.Got, "the content of "+f.Host) && !strings.Contains(out, strings.TrimSpace(content(host))) {
		t.Errorf("%s over %s:\n%s\ndoes not show the page of %s", what, f.Protocol, command, host)
	}
	if f.Check == probe.CheckResume && !strings.Contains(out, "Reused, TLSv1.") {
		t.Errorf("%s over %s:\n%s\ndoes not show that the session is resumed", what, f.Protocol, command)
	}
	if t.Failed() {
		t.Log(out)
	}
}
