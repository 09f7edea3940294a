package probe

import (
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"testing"

	"github.com/usher-http/usher/internal/testca"
)

// TestStranger: whoever has got the port of a program that could not listen on it is not taken for the program.
func TestStranger(t *testing.T) {
	c := newCast(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "one.test")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, c)
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if s := (&server{c, port}); s.runs(t, exec.Command("sh", "-c", "sleep 0.2; exit 1")) {
		t.Error("a stranger is taken for the program")
	}
}
