package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
)

// TestStranger: whoever has got the port of a program that could not listen on it is not taken for the program.
func TestStranger(t *testing.T) {
	c := newCast(t)
	stranger := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	_, port, _ := net.SplitHostPort(stranger.Listener.Addr().String())
	if s := (&server{c, port}); s.runs(t, exec.Command("sh", "-c", "sleep 0.2; exit 1")) {
		t.Error("a stranger is taken for the program")
	}
}
