package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/usher-http/usher/statuscode"
	"github.com/usher-http/usher/statuscode/web"
)

// TestGuideNames asks for every status over one connection: each status line has the guide's name, the answers before a final one too.
func TestGuideNames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: web.New(web.Options{})}
	go srv.Serve(namingListener{l, differentNames()})
	defer srv.Close()
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c, bufio.NewReader(c)
	}
	c, in := dial()
	for _, code := range statuscode.All() {
		want := fmt.Sprintf("HTTP/1.1 %d %s\r\n", code.Number, code.Name)
		switch code.Number {
		case 101:
			want = "HTTP/1.1 501 Not Implemented\r\n"
		case 306:
			want = "HTTP/1.1 306 \r\n"
		case 418:
			want = "HTTP/1.1 418 I'm a teapot\r\n"
		}
		fmt.Fprintf(c, "GET /try/%d HTTP/1.1\r\nHost: a.example\r\nUpload-Draft-Interop-Version: 8\r\n\r\n", code.Number)
		line, err := in.Peek(len(want))
		if err != nil || string(line) != want {
			t.Fatalf("%d: %q, %v, want %q", code.Number, line, err, want)
		}
		for status := 0; status < 200; {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			if status = res.StatusCode; res.Close {
				c, in = dial()
			}
		}
	}
	fmt.Fprint(c, "GET /try/416 HTTP/1.0\r\n\r\n")
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.0 416 Range Not Satisfiable\r\n" {
		t.Errorf("HTTP/1.0: %q, %v", line, err)
	}
}

// TestGuideClosesHalf: net/http finds the way to end its half of a connection, without which who still sends gets a reset and no answer.
func TestGuideClosesHalf(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := namingListener{Listener: inner}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	half, ok := server.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("no CloseWrite")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(client); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if _, err := io.WriteString(client, "more"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(server, make([]byte, len("more"))); err != nil {
		t.Error(err)
	}
}
