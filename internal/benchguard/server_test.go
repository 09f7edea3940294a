package benchguard

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/localca"
)

// serveVariable names, in the environment of a child process, the server that it is to be. Servers are processes of
// their own, so that their processor time is theirs alone.
const serveVariable = "BENCHGUARD_SERVE"

func TestMain(m *testing.M) {
	if kind := os.Getenv(serveVariable); kind != "" {
		if err := serve(kind); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serve prints its address, then its processor time in microseconds for each line that it reads, until the end of them.
func serve(kind string) error {
	ca, err := localca.New("benchguard", time.Now())
	if err != nil {
		return err
	}
	cert, err := ca.Issue(localca.Leaf{Hosts: []string{"a.test", "b.test"}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") })}
	go func() { log.Fatal(start(kind, srv, l, cert)) }()
	fmt.Println(l.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		fmt.Println((u.Utime.Nano() + u.Stime.Nano()) / 1000)
	}
	return nil
}

func start(kind string, srv *http.Server, l net.Listener, cert tls.Certificate) error {
	certs := []tls.Certificate{cert}
	if kind == "bare" {
		srv.TLSConfig = &tls.Config{Certificates: certs}
		//lint:ignore SA1019 guard.ServeTLS serves with x/net's HTTP/2: the guard is measured, not the difference to net/http's.
		if err := http2.ConfigureServer(srv, nil); err != nil {
			return err
		}
		return srv.ServeTLS(l, "", "")
	}
	frames := usher.AutoFrames
	if kind == "silent" {
		frames = usher.NeverFrames
	}
	guard, err := usher.New(usher.Config{
		Listeners: []usher.Listener{{OriginFrame: frames}},
		Sites: []usher.Site{
			{Hosts: []string{"a.test"}, Certificates: certs},
			{Hosts: []string{"b.test"}, Certificates: certs},
		},
	})
	if err != nil {
		return err
	}
	srv.Handler = guard.Handler(srv.Handler)
	return guard.ServeTLS(srv, l, "", "")
}

// A server is a child process. It ends with stop, at the latest with the test.
type server struct {
	addr string
	in   io.WriteCloser
	out  *bufio.Reader
	stop func()
}

func startServer(t *testing.T, kind string) *server {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"="+kind)
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
			t.Errorf("the %s server: %v", kind, err)
		}
	})
	t.Cleanup(stop)
	s := &server{in: in, out: bufio.NewReader(out), stop: stop}
	s.addr = s.line(t)
	return s
}

func (s *server) line(t *testing.T) string {
	t.Helper()
	text, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// cpu returns the processor time that the server has used.
func (s *server) cpu(t *testing.T) time.Duration {
	t.Helper()
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(s.line(t), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Microsecond
}
