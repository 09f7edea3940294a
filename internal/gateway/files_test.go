package gateway

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFiles(t *testing.T) {
	f := newFolder(t)
	f.write(t, "public/index.html", "<p>index")
	f.write(t, "public/a.txt", "text a")
	f.write(t, "public/docs/index.html", "<p>docs")
	f.write(t, "public/empty/x/y.txt", "y")
	f.write(t, "public/.git/config", "secret")
	f.write(t, "public/.well-known/security.txt", "contact")
	f.write(t, "public/sp ace.txt", "space")
	secret := f.write(t, "secret.txt", "secret")
	for link, to := range map[string]string{"out.txt": secret, "up": "..", "in.txt": "a.txt"} {
		if err := os.Symlink(to, filepath.Join(f.dir, "public", link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(f.dir, "public", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := f.start(t, `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443], protocols: [h1, h2]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /, files: ./public}, {path: /s/, files: ./public}]
`)
	c := r.client(t, "h1", "tls", "a.test.example")
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                           {200, "<p>index"},
		"/a.txt":                      {200, "text a"},
		"/s/a.txt":                    {200, "text a"},
		"/s/":                         {200, "<p>index"},
		"/s":                          {301, ""},
		"/sp%20ace.txt":               {200, "space"},
		"/docs/":                      {200, "<p>docs"},
		"/docs":                       {301, ""},
		"/in.txt":                     {200, "text a"},
		"/.well-known/security.txt":   {200, "contact"},
		"/a.txt/":                     {404, ""},
		"/empty/":                     {404, ""},
		"/none":                       {404, ""},
		"/out.txt":                    {404, ""},
		"/up/secret.txt":              {404, ""},
		"/.git/config":                {404, ""},
		"/pipe":                       {404, ""},
		"/a.txt%00":                   {404, ""},
		"/..%2fsecret.txt":            {400, ""},
		"/%2e%2e/secret.txt":          {400, ""},
		"/docs/..%5c..%5csecret.txt":  {400, ""},
		"/s/%2e%2e/%2e%2e/secret.txt": {400, ""},
	} {
		a := c.get(t, "a.test.example", path)
		if a.StatusCode != want.status || !strings.Contains(a.text, want.text) || strings.Contains(a.text, "secret") {
			t.Errorf("%s: %d %q, want %d %q", path, a.StatusCode, a.text, want.status, want.text)
		}
	}
	if to := c.get(t, "a.test.example", "//docs?q").Header.Get("Location"); to != "/docs/?q" {
		t.Errorf("Location %q", to)
	}
	a := c.get(t, "a.test.example", "/a.txt")
	if a.Header.Get("Last-Modified") == "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("fields %v", a.Header)
	}
	again := c.request(t, "GET", "a.test.example", "/a.txt", nil)
	again.Header.Set("If-Modified-Since", a.Header.Get("Last-Modified"))
	c.do(t, again).want(t, http.StatusNotModified, "")
	part := c.request(t, "GET", "a.test.example", "/a.txt", nil)
	part.Header.Set("Range", "bytes=5-5")
	if got := c.do(t, part).want(t, http.StatusPartialContent, "a"); got.text != "a" {
		t.Errorf("range gives %q", got.text)
	}
	post := c.do(t, c.request(t, "POST", "a.test.example", "/a.txt", strings.NewReader("x"))).want(t, 405, "")
	if allow := post.Header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow %q", allow)
	}
	head := c.do(t, c.request(t, "HEAD", "a.test.example", "/a.txt", nil)).want(t, 200, "")
	if head.ContentLength != 6 || head.text != "" {
		t.Errorf("HEAD gives %d %q", head.ContentLength, head.text)
	}
}

func TestFixedAnswers(t *testing.T) {
	f := newFolder(t)
	r := f.start(t, `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes:
      - {path: /teapot, respond: {status: 418, body: "short", headers: {content-type: text/x}}}
      - {path: /nothing, respond: {status: 204}}
      - {path: /away, redirect: {to: "https://elsewhere.example/x", status: 302}}
      - {path: /moved, redirect: {to: /new}}
`)
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		if got := c.get(t, "a.test.example", "/teapot").want(t, 418, "short").Header.Get("Content-Type"); got != "text/x" {
			t.Errorf("%s: Content-Type %q", proto, got)
		}
		c.do(t, c.request(t, "POST", "a.test.example", "/teapot", strings.NewReader("x"))).want(t, 418, "short")
		head := c.do(t, c.request(t, "HEAD", "a.test.example", "/teapot", nil)).want(t, 418, "")
		if head.ContentLength != 5 {
			t.Errorf("%s: HEAD has length %d", proto, head.ContentLength)
		}
		c.get(t, "a.test.example", "/nothing").want(t, 204, "")
		if to := c.get(t, "a.test.example", "/away").want(t, 302, "").Header.Get("Location"); to != "https://elsewhere.example/x" {
			t.Errorf("%s: Location %q", proto, to)
		}
		c.get(t, "a.test.example", "/moved").want(t, 308, "")
		c.get(t, "a.test.example", "/").want(t, 404, "404 Not Found\n")
		c.get(t, "a.test.example", "/x/%2e%2e/teapot").want(t, 400, "400 Bad Request\n")
	}
}

// A file may become shorter while it is sent. The answer then breaks off: it has less content than it has announced, and whoever does not
// count would take it for whole (RFC 9113 section 8.1.1, RFC 9114 section 4.1.2: such a message is malformed).
func TestFileThatShrinks(t *testing.T) {
	f := newFolder(t)
	name := f.write(t, "public/big", "x")
	r := f.start(t, `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /, files: ./public}]
`)
	const size = 64 << 20 // more than sockets and windows take
	for _, proto := range protocols {
		if err := os.Truncate(name, size); err != nil {
			t.Fatal(err)
		}
		c := r.client(t, proto, "tls", "a.test.example")
		res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/big", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || res.ContentLength != size {
			t.Fatal(proto, res.ContentLength, err)
		}
		if err := os.Truncate(name, size/2); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err == nil || n >= size/2 {
			t.Errorf("%s: %d bytes, %v", proto, n, err)
		}
		res.Body.Close()
		wantFields(t, r.log.wait(t, "msg", "request", "proto", proto), map[string]any{"status": 200, "aborted": true})
	}
}
