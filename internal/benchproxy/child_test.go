//go:build linux

package benchproxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// childVariable names, in the environment of a child process, what it is to be: "upstream", or "echo CERTIFICATE KEY".
const childVariable = "BENCHPROXY_CHILD"

func TestMain(m *testing.M) {
	if words := strings.Fields(os.Getenv(childVariable)); len(words) > 0 {
		if err := serve(words); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

func serve(words []string) error {
	switch {
	case words[0] == "upstream":
		return serveUpstream()
	case words[0] == "echo" && len(words) == 3:
		return serveEcho(words[1], words[2])
	}
	return fmt.Errorf("%s is %q", childVariable, words)
}

// serveEcho is the least that a TLS server in Go can be. It prints its address and ends with its standard input.
func serveEcho(certificate, key string) error {
	cert, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go echo(c)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 512)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A child is a process that ends with its standard input, at the latest with the test.
type child struct {
	addr string
	tree tree
	in   io.WriteCloser
	out  *bufio.Reader
	stop func()
}

func startChild(t *testing.T, words ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(words, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %q: %v", words, err)
		}
	})
	t.Cleanup(stop)
	c := &child{tree: tree{cmd.Process.Pid}, in: in, out: bufio.NewReader(out), stop: stop}
	c.addr = c.line(t)
	return c
}

func (c *child) line(t *testing.T) string {
	t.Helper()
	text, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// counts asks an upstream how many connections and requests it has had.
func (c *child) counts(t *testing.T) (connections, requests int) {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(c.line(t), &connections, &requests); err != nil {
		t.Fatal(err)
	}
	return connections, requests
}
