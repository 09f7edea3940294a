package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/usher-http/usher/internal/localca"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"usher": func() {
			os.Exit(ExitCode(Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)))
		},
	})
}

// TestScript runs the scripts, which are the specification of the commands. Beside testscript's own commands they have
//
//	code N PROGRAM ARG...  runs a program that must end with exit code N
//	cert NAME HOST...      writes NAME.pem and NAME.key, by the authority in ca.pem
//	expiring NAME HOST...  the same, with a day left
//	ca NAME                writes NAME.pem, another authority
//	port VAR               puts a port into VAR that was free a moment ago
//	fetch URL STATUS       asks for a URL over plain HTTP
//	until FILE TEXT        waits until the file has the text
//	stall VAR              puts the port of a server into VAR that never answers
//	begin URL              sends a request over plain HTTP and returns when it has reached the server of stall
//	signal NAME PIDFILE    sends HUP or TERM to a process
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("USHER_UPDATE_SCRIPTS") != "", // writes what is compared, for a look at the difference
		Setup: func(env *testscript.Env) error {
			ca, err := localca.New("script", time.Now())
			if err != nil {
				return err
			}
			env.Values[caKey{}] = ca
			env.Values[stallKey{}] = make(chan net.Conn, 1)
			return os.WriteFile(filepath.Join(env.WorkDir, "ca.pem"), ca.PEM(), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":     code,
			"cert":     certificate(0),
			"expiring": certificate(localca.LeafLifetime - 24*time.Hour),
			"ca":       otherCA,
			"port":     port,
			"fetch":    fetch,
			"until":    until,
			"stall":    stall,
			"begin":    begin,
			"signal":   sendSignal,
		},
	})
}

type caKey struct{}

func code(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if args[0] != fmt.Sprint(got) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// certificate issues one that has lived for so long.
func certificate(lived time.Duration) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		now := time.Now()
		cert, err := ts.Value(caKey{}).(*localca.CA).Issue(localca.Leaf{Hosts: args[1:], Now: now.Add(-lived)})
		ts.Check(err)
		key, err := localca.KeyPEM(cert.PrivateKey)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), localca.CertificatePEM(cert), 0o644))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), key, 0o600))
	}
}

func otherCA(ts *testscript.TestScript, _ bool, args []string) {
	ca, err := localca.New(args[0], time.Now())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), ca.PEM(), 0o644))
}

// port keeps to those that no system gives away by itself (Linux begins at 32768, others at 49152): between this and the script's own use
// any connection of a test that runs beside it might get the port.
func port(ts *testscript.TestScript, _ bool, args []string) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", address)
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		ts.Setenv(args[0], fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
		return
	}
	ts.Fatalf("no port is free")
}

// scriptTime bounds what a script waits for.
const scriptTime = 20 * time.Second

func until(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(scriptTime); ; time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not have %q: %s", filepath.Base(path), args[1], data)
		}
	}
}

func fetch(ts *testscript.TestScript, _ bool, args []string) {
	client := http.Client{
		Timeout:       scriptTime,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := client.Get(args[0])
	ts.Check(err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	ts.Check(err)
	if got := fmt.Sprint(r.StatusCode); got != args[1] {
		ts.Fatalf("%s: %s, want %s: %s", args[0], got, args[1], body)
	}
}

func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	process, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(process.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]))
}

type stallKey struct{}

func stall(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	arrived := ts.Value(stallKey{}).(chan net.Conn)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived <- c
		}
	}()
}

func begin(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	ts.Defer(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", args[0], nil)
	ts.Check(err)
	go func() {
		if w, err := new(http.Transport).RoundTrip(r); err == nil {
			w.Body.Close()
		}
	}()
	select {
	case c := <-ts.Value(stallKey{}).(chan net.Conn):
		ts.Defer(func() { c.Close() })
	case <-time.After(scriptTime):
		ts.Fatalf("the request did not arrive")
	}
}
