package gateway

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-http/usher/statuscode"
)

// TestPhrases: a status has one name, in the guide and on the wire. Two numbers are unused and have none: what goes over the wire with
// 418 is the joke that it is kept free for.
func TestPhrases(t *testing.T) {
	for _, c := range statuscode.All() {
		want := c.Name
		switch c.Number {
		case http.StatusTeapot:
			want = "I'm a teapot"
		case 306:
			want = ""
		}
		if got := phraseOf(c.Number); got != want {
			t.Errorf("%d is called %q, want %q", c.Number, got, want)
		}
	}
	if got := phraseOf(299); got != "" {
		t.Errorf("299 is called %q", got)
	}
}

// TestPhrasesOnTheWire: "HTTP/1.1 416 Range Not Satisfiable" is what a client of HTTP/1.1 reads, whoever has made the answer: an action,
// the gateway itself, or the codec that could not read the request.
func TestPhrasesOnTheWire(t *testing.T) {
	r := newFolder(t).start(t, `
listeners: [{name: tls, address: "127.0.0.1:0"}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes:
      - {path: /guide, guide: true}
      - {path: /422, respond: {status: 422}}
`)
	for request, want := range map[string]string{
		"GET /guide/try/416 HTTP/1.1\r\nHOST\r\n":                                    "416 Range Not Satisfiable",
		"GET /guide/try/413 HTTP/1.1\r\nHOST\r\n":                                    "413 Content Too Large",
		"GET /guide/try/104 HTTP/1.1\r\nUpload-Draft-Interop-Version: 8\r\nHOST\r\n": "104 Upload Resumption Supported",
		"GET /guide/try/306 HTTP/1.1\r\nHOST\r\n":                                    "306 ",
		"GET /422 HTTP/1.1\r\nHOST\r\n":                                              "422 Unprocessable Content",
		"GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\n":                     "414 URI Too Long",
	} {
		w := r.wire1(t)
		w.say("%s", request)
		line, err := bufio.NewReader(w).ReadString('\n')
		if err != nil || line != fmt.Sprintf("HTTP/1.1 %s\r\n", want) {
			t.Errorf("%.40q: %q, %v, want %s", request, line, err, want)
		}
	}
}
