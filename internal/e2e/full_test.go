package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testenv"
)

// A connection over HTTP/3 takes no file, so that the limit of open files would not end what one client can open. It counts all the same,
// and the operator is told.
func TestManyConnectionsOverHTTP3(t *testing.T) {
	const files = 48
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "a", "a.test")
	s := &server{dir: c.dir, file: filepath.Join(c.dir, "usher.yaml")}
	s.configure(t, `
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout, access: false}
timeouts: {header: 10m, idle: 10m}
sites: [{hosts: [a.test], tls: {certificates: [{certificate: a.pem, key: a.key}]}, routes: [{path: /, respond: {body: here}}]}]
`)
	s.process = startCommand(t, c.dir, exec.Command("sh", "-c", `ulimit -n 48 && exec "$0" serve -c usher.yaml`, testenv.UsherBinary(t)))
	s.locate(t, 0)
	stage := &stage{c, s}
	var open []*h3
	for range files {
		open = append(open, stage.h3(t, on("a.test")))
	}
	_, err := rawh3.Dial(t.Context(), stage.addressOf(t, on("a.test")), stage.tls(on("a.test")), nil)
	if refused, ok := errors.AsType[*quic.TransportError](err); !ok || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("connection %d ended with %v, want CONNECTION_REFUSED", files+1, err)
	}
	s.stdout.awaitText(t, 0, "connections cannot be accepted")
	s.stdout.awaitText(t, 0, "LimitNOFILE")
	own := "a.test:" + s.port(t, "public")
	for _, client := range []client{open[0], open[files-1], stage.connect(t, "h2", on("a.test"))} {
		if r := client.get(t, own, "/"); r.status != 200 || r.body != "here" {
			t.Errorf("%d %q", r.status, r.body)
		}
	}
}
