package gateway

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// What is larger than a stream's own buffer is not answered in place: a client whose windows are small gets all of it.
func TestLargeFixedAnswers(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 40<<10) // 640 KiB
	r := newFolder(t).start(t, fmt.Sprintf(`
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /, respond: {body: "%s"}}]
`, text))
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		results := make(chan error, 20)
		for range cap(results) {
			req := c.request(t, "GET", "a.test.example", "/", nil)
			go func() {
				res, err := c.http.Do(req)
				if err == nil {
					var got []byte
					got, err = io.ReadAll(res.Body)
					res.Body.Close()
					if err == nil && string(got) != text {
						err = fmt.Errorf("%d bytes, want %d", len(got), len(text))
					}
				}
				results <- err
			}()
		}
		for range cap(results) {
			if err := wait(t, "an answer", results); err != nil {
				t.Errorf("%s: %v", proto, err)
			}
		}
	}
}
