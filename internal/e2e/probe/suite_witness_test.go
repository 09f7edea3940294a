package probe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe/suite"
	"github.com/usher-http/usher/probe/wire"
)

// witnessSuite asks a server of the suite the same as the probe does, with other clients: over HTTP/1.1 with openssl s_client and requests
// written out, over HTTP/2 with curl as far as it goes. The answers must earn what the list of the server says, for what is right, too.
func (s *server) witnessSuite(t *testing.T, want []string) {
	t.Helper()
	asked := map[wire.Protocol]int{}
	for _, c := range suite.Cases() {
		for _, p := range []wire.Protocol{wire.H1, wire.H2} {
			answer := s.withCurl
			if p == wire.H1 {
				answer = s.withOpenSSL
			}
			if !slices.Contains(c.Protocols, p) {
				continue
			}
			words, can := answer(t, &c)
			if !can {
				continue
			}
			asked[p]++
			verdict := suite.Right
			for _, line := range want {
				if v, rest, _ := strings.Cut(line, " "); rest == c.ID+" "+string(p) {
					verdict = suite.Verdict(v)
				}
			}
			if got := c.Expect.Judge(words); got != verdict {
				t.Errorf("another client over %s: %s: %q, which is %s, not %s", p, c.ID, words, got, verdict)
			}
		}
	}
	if asked[wire.H1] < 30 || asked[wire.H2] < 20 {
		t.Errorf("asked by other clients: %v", asked)
	}
}

func (s *server) suiteName(host string) string { return suite.Name(host) + ":" + s.port }

// withOpenSSL asks over HTTP/1.1.
func (s *server) withOpenSSL(t *testing.T, c *suite.Case) (words []string, can bool) {
	t.Helper()
	request, can := s.written(&c.Request)
	if !can {
		return nil, false
	}
	var flags []string
	if c.Connection.TLS != "" {
		flags = append(flags, "-tls"+strings.Replace(c.Connection.TLS, ".", "_", 1))
	}
	if c.Connection.Session != "" {
		session := filepath.Join(t.TempDir(), "session.pem")
		first := fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", s.suiteName(c.Connection.Session))
		s.openssl(t, first, append(flags, "-servername", suite.Name(c.Connection.Session), "-sess_out", session)...)
		if _, err := os.Stat(session); err != nil {
			return c.Expect.Right, true // no session, nothing to resume
		}
		flags = append(flags, "-sess_in", session)
	}
	switch name := suite.Name(c.Connection.SNI); {
	case c.Connection.SNI == "":
		flags = append(flags, "-noservername")
	case c.Connection.Form == "upper":
		flags = append(flags, "-servername", strings.ToUpper(name))
	default:
		flags = append(flags, "-servername", name)
	}
	if c.Connection.Certificate {
		flags = append(flags, "-cert", "client.pem", "-key", "client.key")
	}
	out := s.openssl(t, request, flags...)
	if c.Connection.Session != "" && strings.Contains(out, "\nReused, TLS") {
		words = append(words, "resumed")
	}
	i := strings.Index(out, "HTTP/1.1 ")
	if i < 0 {
		if strings.Contains(out, "alert") {
			return append(words, "alert"), true
		}
		return append(words, "closed"), true
	}
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out[i:])), nil)
	if err != nil {
		t.Errorf("%s: %v\n%s", c.ID, err, out)
		return nil, false
	}
	body, _ := io.ReadAll(r.Body) // what openssl says at the end follows a body without length
	return append(words, described(c, r.StatusCode, r.Header, string(body))...), true
}

// written is the request as it goes out; the case for a connection that stays open is none for a client that closes it.
func (s *server) written(r *suite.Request) (text string, can bool) {
	name, second := s.suiteName(r.Authority), s.suiteName(r.Second)
	target, host := "/", "Host: "+name+"\r\n"
	switch r.Form {
	case "upper":
		host = "Host: " + strings.ToUpper(name) + "\r\n"
	case "dot":
		host = fmt.Sprintf("Host: %s.:%s\r\n", suite.Name(r.Authority), s.port)
	case "port":
		n, _ := strconv.Atoi(s.port)
		host = fmt.Sprintf("Host: %s:%d\r\n", suite.Name(r.Authority), n%65535+1)
	case "userinfo":
		host = "Host: user@" + name + "\r\n"
	case "empty":
		host = "Host:\r\n"
	case "missing":
		host = ""
	case "twice":
		host += "Host: " + second + "\r\n"
	case "absolute":
		target = "https://" + second + "/"
	case "http":
		target = "http://" + name + "/"
	}
	return fmt.Sprintf("GET %s HTTP/1.1\r\n%sConnection: close\r\n\r\n", target, host), r.Look != "usable"
}

// openssl sends text over TLS and returns all that s_client says.
func (s *server) openssl(t *testing.T, text string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testenv.Tool(t, "openssl"), append([]string{"s_client", "-connect", "127.0.0.1:" + s.port, "-alpn", "http/1.1", "-ign_eof"}, flags...)...)
	cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(text)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run() // it ends with an error where the server sends an alert
	if ctx.Err() != nil {
		t.Errorf("openssl %q does not end:\n%s", flags, out.String())
	}
	return out.String()
}

// withCurl asks over HTTP/2, where Host becomes :authority.
func (s *server) withCurl(t *testing.T, c *suite.Case) (words []string, can bool) {
	t.Helper()
	r := &c.Request
	if c.Connection.Session != "" || c.Connection.Form != "" || !slices.Contains([]string{"", "upper", "port", "userinfo", "dot"}, r.Form) || r.Look == "usable" {
		return nil, false
	}
	request, _ := s.written(r)
	host := strings.Split(request, "\r\n")[1]
	connection := suite.Name(c.Connection.SNI)
	if c.Connection.SNI == "" {
		connection = "127.0.0.1"
	}
	args := []string{"-sk", "--http2", "--connect-to", "::127.0.0.1:" + s.port, "-D", "head.txt", "-o", "body.txt", "-w", "%{http_code} %{http_version}", "-H", host}
	if c.Connection.Certificate {
		args = append(args, "--cert", "client.pem", "--key", "client.key")
	}
	for _, name := range []string{"head.txt", "body.txt"} {
		s.write(t, name, "")
	}
	out, code := run(t, s.dir, testenv.Tool(t, "curl"), append(args, "https://"+connection+":"+s.port+"/")...)
	status, spoken, _ := strings.Cut(out, " ")
	if code != 0 || spoken != "2" {
		return []string{"alert", "closed", "reset"}, true // curl does not tell which
	}
	n, _ := strconv.Atoi(status)
	body, err := os.ReadFile(filepath.Join(s.dir, "body.txt"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(filepath.Join(s.dir, "head.txt"))
	if err != nil {
		t.Fatal(err)
	}
	fields := http.Header{}
	for line := range strings.Lines(string(head)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields.Add(name, strings.TrimSpace(value))
		}
	}
	return described(c, n, fields, string(body)), true
}

// described puts an answer into the words of the cases.
func described(c *suite.Case, status int, fields http.Header, body string) []string {
	switch {
	case c.Request.Look == "no-store" && status == 421 && strings.Contains(fields.Get("Cache-Control"), "no-store"),
		c.Request.Look == "no-alt-svc" && status == 421 && fields.Get("Alt-Svc") == "":
		return []string{c.Request.Look}
	case c.Request.Look != "":
		return []string{"not " + c.Request.Look}
	case status >= 300 && status < 400:
		return []string{"redirect"}
	case status >= 400:
		return []string{strconv.Itoa(status)}
	}
	for _, host := range suite.Hosts {
		if strings.HasPrefix(strings.TrimSpace(body)+"\n", suite.Content(host)) {
			return []string{"content:" + host}
		}
	}
	return []string{"content:unknown"}
}
