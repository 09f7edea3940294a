package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// curl runs curl, which finds every host on the public listener, and returns the statuses of its requests.
func (s *stage) curl(t testing.TB, args ...string) (statuses string, code int) {
	t.Helper()
	program := testenv.Tool(t, "curl")
	usual := []string{"-sS", "--max-time", "30", "--cacert", filepath.Join(s.cast.dir, "ca.pem"),
		"--resolve", s.text(t, "*:PORT:127.0.0.1"), "-o", "/dev/null", "-w", "%{http_code} "}
	var all []string
	// Options count for the requests up to the next --next.
	all = append(all, usual...)
	for _, arg := range args {
		all = append(all, s.text(t, arg))
		if arg == "--next" {
			all = append(all, usual...)
		}
	}
	out, errs, code := command(t, s.cast.dir, "", program, all...)
	if code != 0 {
		t.Logf("curl: %s", errs)
	}
	return strings.TrimSpace(out), code
}

// TestCurl has what curl, a client that people have, makes of the gateway: each request in the log, with its connection.
func TestCurl(t *testing.T) {
	t.Parallel()
	testenv.Tool(t, "curl")
	s := play(t, "", "")
	for proto, option := range map[string]string{"h1": "--http1.1", "h2": "--http2"} {
		tests := []struct {
			name     string
			args     []string
			statuses string
			reasons  string
			// connections has a letter for each request, the same one for the same connection.
			connections string
		}{
			{"a site", []string{"https://shop.test:PORT/"}, "200", "ok", "a"},
			{"the default port, mapped", []string{"--connect-to", "shop.test:443:127.0.0.1:PORT", "https://shop.test/"}, "200", "ok", "a"},
			{"upper case", []string{"https://SHOP.Test:PORT/"}, "200", "ok", "a"},
			// curl does not coalesce: it has a connection for each host, whatever the certificate covers.
			{"two hosts of a certificate", []string{"https://shop.test:PORT/", "--next", option, "https://api.test:PORT/"}, "200 200", "ok ok", "ab"},
			{"one host twice", []string{"https://shop.test:PORT/", "--next", option, "https://shop.test:PORT/"}, "200 200", "ok ok", "aa"},
			// With a Host of the caller's it reuses the connection for another origin, as a browser would by itself.
			{"coalesced", []string{"https://shop.test:PORT/", "--next", option, "-H", "Host: api.test:PORT", "https://shop.test:PORT/"}, "200 200", "ok ok", "aa"},
			{"refused in between", []string{"https://shop.test:PORT/", "--next", option, "-H", "Host: blog.test:PORT", "https://shop.test:PORT/",
				"--next", option, "https://shop.test:PORT/"}, "200 421 200", "ok certificate_mismatch ok", "aaa"},
			{"a refused POST, then its host", []string{"-d", "a=b", "-H", "Host: blog.test:PORT", "https://shop.test:PORT/",
				"--next", option, "-d", "a=b", "https://blog.test:PORT/"}, "421 200", "certificate_mismatch ok", "ab"},
			{"client authentication on a neighbour's connection", []string{"-H", "Host: staff.test:PORT", "https://shop.test:PORT/"}, "421", "client_auth_mismatch", "a"},
			{"the same with a certificate that nobody asked for", []string{"--cert", "alice.pem", "--key", "alice.key",
				"-H", "Host: staff.test:PORT", "https://shop.test:PORT/"}, "421", "client_auth_mismatch", "a"},
			{"client authentication", []string{"--cert", "alice.pem", "--key", "alice.key", "https://staff.test:PORT/"}, "200", "ok", "a"},
			{"an open site on an authenticated connection", []string{"--cert", "alice.pem", "--key", "alice.key",
				"-H", "Host: shop.test:PORT", "https://staff.test:PORT/"}, "200", "ok", "a"},
			{"TLS 1.2", []string{"--tls-max", "1.2", "https://shop.test:PORT/"}, "200", "ok", "a"},
			{"too old a TLS version on a neighbour's connection", []string{"--tls-max", "1.2", "-H", "Host: modern.test:PORT", "https://shop.test:PORT/"}, "421", "tls_version_mismatch", "a"},
		}
		for _, test := range tests {
			t.Run(proto+"/"+test.name, func(t *testing.T) {
				mark := s.stdout.mark()
				statuses, code := s.curl(t, append([]string{option}, test.args...)...)
				if statuses != test.statuses || code != 0 {
					t.Fatalf("%s, exit %d, want %s", statuses, code, test.statuses)
				}
				list := s.stdout.awaitEntries(t, mark, len(strings.Fields(test.reasons)))
				var reasons []string
				for _, e := range list {
					reasons = append(reasons, e.Reason)
					if e.Protocol != proto {
						t.Errorf("over %s", e.Protocol)
					}
				}
				if got := strings.Join(reasons, " "); got != test.reasons {
					t.Errorf("reasons %s, want %s", got, test.reasons)
				}
				if got := connectionsOf(list); got != test.connections {
					t.Errorf("connections %s, want %s", got, test.connections)
				}
			})
		}
		// Handshakes that end with an alert: nothing is asked, nothing is logged.
		for name, args := range map[string][]string{
			"no client certificate":              {"https://staff.test:PORT/"},
			"a client certificate of a wrong CA": {"--cert", "mallory.pem", "--key", "mallory.key", "https://staff.test:PORT/"},
			"an unknown host":                    {"https://nobody.test:PORT/"},
			"too old a TLS version":              {"--tls-max", "1.2", "https://modern.test:PORT/"},
		} {
			t.Run(proto+"/"+name, func(t *testing.T) {
				before, mark := s.metrics(t, verdictsMetric), s.stdout.mark()
				if statuses, code := s.curl(t, append([]string{option}, args...)...); statuses != "000" || code == 0 {
					t.Errorf("%s, exit %d", statuses, code)
				}
				if grown := increments(t, before, s.metrics(t, verdictsMetric)); len(grown) > 0 {
					t.Errorf("counted %v, logged %v", grown, s.stdout.entries(t, mark))
				}
			})
		}
	}
}

// connectionsOf names the connections of requests: a for the first, b for the second.
func connectionsOf(list []entry) string {
	letters := map[string]byte{}
	var b strings.Builder
	for _, e := range list {
		if letters[e.Remote] == 0 {
			letters[e.Remote] = 'a' + byte(len(letters))
		}
		b.WriteByte(letters[e.Remote])
	}
	return b.String()
}
