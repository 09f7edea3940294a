package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// A library of pages behind the gateway, for clients that people have.
func pages(t *testing.T) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d %x %s\n", len(body), sha256.Sum256(body), r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("GET /noise/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", r.PathValue("n"))
		}
		w.Write(noise(n))
	})
	mux.HandleFunc("GET /trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "with trailers\n")
		w.Header().Set("X-Sum", "behind")
	})
	mux.HandleFunc("GET /hints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "after hints\n")
	})
	mux.HandleFunc("GET /nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /same", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
	})
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!DOCTYPE html><html><head><link rel="stylesheet" href="/noise/70000"><script src="/noise/70001"></script></head>`+
			`<body><img src="/noise/70002"><img src="/noise/70003"><img src="/noise/300000"></body></html>`)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// noise is n bytes that repeat nowhere, the same each time.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{'n'}).Read(p)
	return p
}

// library is a stage with a.test, which is for clients without SNI too, before the pages.
func library(t *testing.T) *stage {
	t.Helper()
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "a", "a.test", "127.0.0.1")
	if err := os.WriteFile(filepath.Join(c.dir, "noise"), noise(3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return &stage{c, serve(t, c.dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout}
state: ./state
default_site: a
sites:
  - {name: a, hosts: [a.test, 127.0.0.1], tls: {certificates: [{certificate: a.pem, key: a.key}]}, upstream: %q}
`, pages(t)))}
}

func sumOf(p []byte, trailer string) string {
	return fmt.Sprintf("%d %x %s\n", len(p), sha256.Sum256(p), trailer)
}

// TestCurlThroughGateway has curl send and take content of every kind, over both versions of HTTP that it has.
func TestCurlThroughGateway(t *testing.T) {
	t.Parallel()
	program := testenv.Tool(t, "curl")
	s := library(t)
	all := noise(3 << 20)
	tests := []struct {
		name, path string
		args       []string
		stdin      string
		body       string
		// fields are parts of what curl says of the header sections and the trailers, in their order.
		fields []string
	}{
		{"a download", "/noise/5000000", nil, "", string(noise(5_000_000)), []string{" 200"}},
		{"a download of known length", "/noise/5000000?length", nil, "", string(noise(5_000_000)), []string{" 200", "content-length: 5000000"}},
		{"an empty download", "/noise/0?length", nil, "", "", []string{" 200", "content-length: 0"}},
		{"an upload", "/sum", []string{"--data-binary", "@noise"}, "", sumOf(all, ""), []string{" 200"}},
		{"an upload of unknown length", "/sum", []string{"-X", "POST", "-T", "-"}, string(all), sumOf(all, ""), []string{" 200"}},
		{"an empty upload", "/sum", []string{"-d", ""}, "", sumOf(nil, ""), []string{" 200"}},
		{"an upload that waits for 100", "/sum", []string{"-H", "Expect: 100-continue", "--data-binary", "@noise"}, "", sumOf(all, ""), []string{" 200"}},
		{"trailers", "/trailers", []string{"-H", "TE: trailers"}, "", "with trailers\n", []string{" 200", "x-sum: behind"}},
		{"103", "/hints", nil, "", "after hints\n", []string{" 103", "link: </style.css>", " 200"}},
		{"HEAD", "/noise/5000?length", []string{"-I"}, "", "", []string{" 200", "content-length: 5000"}},
		{"204", "/nothing", nil, "", "", []string{" 204"}},
		{"304", "/same", []string{"-H", `If-None-Match: "1"`}, "", "", []string{" 304", `etag: "1"`}},
	}
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, test := range tests {
			t.Run(version[2:]+"/"+test.name, func(t *testing.T) {
				fields := filepath.Join(t.TempDir(), "fields")
				at := "a.test:" + s.port(t, "public")
				args := append([]string{"-sS", "--max-time", "30", version, "--cacert", "ca.pem", "--connect-to", at + ":" + s.at(t, "public"), "-D", fields}, test.args...)
				if slices.Contains(test.args, "-I") {
					args = append(args, "-o", os.DevNull) // -I writes the fields there too
				}
				out, errs, code := command(t, s.cast.dir, test.stdin, program, append(args, "https://"+at+test.path)...)
				if code != 0 || out != test.body {
					t.Errorf("exit %d, %d bytes %.100q, want %d; %s", code, len(out), out, len(test.body), errs)
				}
				text, err := os.ReadFile(fields)
				if err != nil {
					t.Fatal(err)
				}
				rest := strings.ToLower(string(text))
				for _, want := range test.fields {
					_, behind, found := strings.Cut(rest, want)
					if !found {
						t.Errorf("no %q, in this order, in:\n%s", want, text)
					}
					rest = behind
				}
			})
		}
	}
}

// TestNghttpThroughGateway does the same with nghttp, which knows more of HTTP/2: small windows, padding, header sections in many frames,
// trailers of requests, priorities.
func TestNghttpThroughGateway(t *testing.T) {
	t.Parallel()
	program := testenv.Tool(t, "nghttp")
	s := library(t)
	all := noise(3 << 20)
	tests := []struct {
		name, path string
		args       []string
		body       string
	}{
		{"a download", "/noise/3000000", nil, string(noise(3_000_000))},
		{"a download through small windows", "/noise/300000", []string{"-w", "10", "-W", "11"}, string(noise(300_000))},
		{"an upload", "/sum", []string{"-d", "noise"}, sumOf(all, "")},
		{"an upload in padded frames", "/sum", []string{"-d", "noise", "-b", "100"}, sumOf(all, "")},
		{"an upload with trailers", "/sum", []string{"-d", "noise", "--no-content-length", "--trailer", "x-sum: behind"}, sumOf(all, "behind")},
		{"an upload of unknown length", "/sum", []string{"-d", "noise", "--no-content-length"}, sumOf(all, "")},
		{"a header section in many frames", "/noise/10", []string{"--continuation", "-H", "x-long: " + strings.Repeat("y", 20_000)}, string(noise(10))},
		{"a small table", "/noise/10", []string{"-c", "64", "--encoder-header-table-size", "0"}, string(noise(10))},
		{"without priorities", "/noise/10", []string{"--no-dep"}, string(noise(10))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"--no-verify-peer", "-t", "30", "-H", ":authority: a.test"}, test.args...)
			out, errs, code := command(t, s.cast.dir, "", program, append(args, "https://"+s.at(t, "public")+test.path)...)
			if code != 0 || out != test.body {
				t.Errorf("exit %d, %d bytes %.100q, want %d; %s", code, len(out), out, len(test.body), errs)
			}
		})
	}
	t.Run("a page with all that belongs to it", func(t *testing.T) {
		out, errs, code := command(t, s.cast.dir, "", program, "--no-verify-peer", "-t", "30", "-ans", "https://"+s.at(t, "public")+"/page")
		if code != 0 {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		for _, path := range []string{"/page", "/noise/70000", "/noise/70001", "/noise/70002", "/noise/70003", "/noise/300000"} {
			line := ""
			for l := range strings.Lines(out) {
				if strings.HasSuffix(strings.TrimSpace(l), " "+path) {
					line = l
				}
			}
			if !strings.Contains(line, " 200 ") {
				t.Errorf("%s: %q in\n%s", path, line, out)
			}
		}
	})
	t.Run("103 and trailers", func(t *testing.T) {
		for path, want := range map[string][]string{"/hints": {":status: 103", "link: </style.css>", ":status: 200"}, "/trailers": {":status: 200", "x-sum: behind"}} {
			out, _, code := command(t, s.cast.dir, "", program, "--no-verify-peer", "-t", "30", "-nv", "https://"+s.at(t, "public")+path)
			rest := out
			for _, w := range want {
				_, behind, found := strings.Cut(rest, w)
				if !found || code != 0 {
					t.Errorf("%s: exit %d, no %q, in this order, in:\n%s", path, code, w, out)
				}
				rest = behind
			}
		}
	})
}
