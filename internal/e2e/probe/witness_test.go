package probe

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// A witness is what curl sees: host asked for on a connection, over HTTP/1.1 and over HTTP/2.
type witness struct {
	connection, host string
	status           string
	page             string // whose content comes; empty: nobody's
}

// witnesses asks curl and openssl.
func (s *server) witnesses(t *testing.T, test testCase) {
	t.Helper()
	curl := testenv.Tool(t, "curl")
	for _, w := range test.curl {
		for _, version := range []string{"--http1.1", "--http2"} {
			out, _ := run(t, s.dir, curl, "-sk", version, "--connect-to", "::127.0.0.1:"+s.port, "-o", "page.txt", "-w", "%{http_code} %{http_version}",
				"-H", "Host: "+w.host+".test:"+s.port, "https://"+w.connection+".test:"+s.port+"/")
			status, spoken, _ := strings.Cut(out, " ")
			if status != w.status || spoken != strings.TrimPrefix(version, "--http") {
				t.Errorf("curl %s: %s on a connection for %s: %s, want %s", version, w.host, w.connection, out, w.status)
			}
			text, _ := run(t, s.dir, "cat", "page.txt")
			if w.page != "" && strings.TrimSpace(text) != "this is "+w.page+".test" {
				t.Errorf("curl %s: %s on a connection for %s: %q, want the page of %s", version, w.host, w.connection, text, w.page)
			}
		}
	}
	if got := s.resumes(t); got != test.resumes {
		t.Errorf("openssl: a session of one.test under blog.test is resumed: %v, want %v", got, test.resumes)
	}
}

// resumes takes a session of one.test and presents it under the name of blog.test.
func (s *server) resumes(t *testing.T) bool {
	t.Helper()
	program := testenv.Tool(t, "openssl")
	session := filepath.Join(s.dir, "session.pem")
	connect := func(args ...string) string {
		cmd := exec.Command(program, append([]string{"s_client", "-connect", "127.0.0.1:" + s.port, "-tls1_2"}, args...)...)
		cmd.Stdin = strings.NewReader("")
		out, _ := cmd.CombinedOutput() // the end of input ends it
		return string(out)
	}
	if first := connect("-servername", "one.test", "-sess_out", session); !strings.Contains(first, "New, TLSv1.2") {
		t.Fatalf("no session:\n%s", first)
	}
	return strings.Contains(connect("-servername", "blog.test", "-sess_in", session), "Reused, TLSv1.2")
}
