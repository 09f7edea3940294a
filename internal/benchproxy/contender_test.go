//go:build linux

package benchproxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

// A contender is a program that is measured.
type contender struct {
	name    string
	kind    string // usher, nginx, haproxy or caddy
	program string
	version string
	file    string // of the configuration
	form    string
}

// A running contender is a process of its own, in a folder of its own.
type running struct {
	contender contender
	setting   setting
	config    string // the text of its configuration
	addr      string
	tree      tree
	dir       string
	stop      func()
}

// certificates are the same for everybody.
type certificates struct {
	setting // the files
	ca      *testca.CA
}

func makeCertificates(t *testing.T, dir string) certificates {
	t.Helper()
	c := certificates{ca: testca.New(t)}
	c.CertA, c.KeyA = c.ca.WriteServer(t, dir, "a", hostA)
	c.CertB, c.KeyB = c.ca.WriteServer(t, dir, "b", hostB)
	both := func(name, cert, key string) string {
		path := filepath.Join(dir, name)
		var text []byte
		for _, file := range []string{cert, key} {
			part, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, part...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c.BothA, c.BothB = both("a.both.pem", c.CertA, c.KeyA), both("b.both.pem", c.CertB, c.KeyB)
	return c
}

// start starts a contender, and returns when it takes connections.
func (c contender) start(t *testing.T, certs certificates, upstream string) (*running, error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), c.kind)
	if err != nil {
		return nil, err
	}
	s := certs.setting
	s.Dir, s.Upstream, s.Root = dir, upstream, os.Geteuid() == 0
	if s.Port, s.Admin, err = freePorts(); err != nil {
		return nil, err
	}
	r := &running{contender: c, setting: s, addr: "127.0.0.1:" + strconv.Itoa(s.Port), dir: dir}
	if r.config, err = s.text(c.form); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, c.file)
	if err := os.WriteFile(file, []byte(r.config), 0o600); err != nil {
		return nil, err
	}
	return r, r.run(t, c.command(dir, file))
}

func (c contender) command(dir, file string) []string {
	switch c.kind {
	case "nginx":
		return []string{c.program, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", file}
	case "haproxy":
		return []string{c.program, "-db", "-f", file}
	case "caddy":
		return []string{c.program, "run", "--adapter", "caddyfile", "--config", file}
	}
	return []string{c.program, "serve", "-c", file}
}

func (r *running) run(t *testing.T, words []string) error {
	t.Helper()
	pin, err := firstTwo()
	if err != nil {
		return err
	}
	if pin != "" {
		words = append([]string{"taskset", "-c", pin}, words...) // becomes the program: the process stays the same
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = r.dir
	cmd.Env = plainEnvironment(r.dir)
	// Should the test be killed, its contenders end too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	said, err := os.Create(filepath.Join(r.dir, "said.txt"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if r.contender.kind == "haproxy" { // its log
		log, err := os.Create(r.accessLog())
		if err != nil {
			return err
		}
		defer log.Close()
		cmd.Stdout = log
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // how it ends is of no interest, as long as it ends when it is told to
		close(exited)
	}()
	r.stop = sync.OnceFunc(func() {
		for range 5 {
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-exited:
				return
			case <-time.After(2 * time.Second):
			}
		}
		t.Errorf("%s does not end on SIGTERM", r.contender.name)
		cmd.Process.Kill()
		<-exited
	})
	t.Cleanup(r.stop)
	if err := r.await(exited); err != nil {
		r.stop()
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%s: %w\n%s", r.contender.name, err, text)
	}
	r.tree, err = treeOf(cmd.Process.Pid)
	return err
}

func (r *running) accessLog() string { return filepath.Join(r.dir, "access.log") }

// stopLogged ends the contender and makes sure that it has logged n requests at least: what has just been answered may not be in
// the log yet, and some do not write it when they are told to end.
func (r *running) stopLogged(n int) error {
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if logged, err := r.logged(); err == nil && logged >= n {
			break
		}
	}
	r.stop()
	if logged, err := r.logged(); err != nil || logged < n {
		return fmt.Errorf("%s has logged %d of %d requests (%v)", r.contender.name, logged, n, err)
	}
	return nil
}

// logged counts the lines of the access log that are about requests.
func (r *running) logged() (int, error) {
	text, err := os.ReadFile(r.accessLog())
	if err != nil {
		return 0, err
	}
	mark := map[string]string{"usher": `"msg":"request"`, "nginx": " - - [", "haproxy": " public~ ", "caddy": `"handled request"`}[r.contender.kind]
	return bytes.Count(text, []byte(mark)), nil
}

// await returns when the contender has answered a handshake.
func (r *running) await(exited <-chan struct{}) error {
	dialer := &net.Dialer{Timeout: time.Second}
	for deadline := time.Now().Add(15 * time.Second); ; {
		c, err := tls.DialWithDialer(dialer, "tcp", r.addr, &tls.Config{ServerName: hostA, InsecureSkipVerify: true})
		if err == nil {
			return c.Close()
		}
		select {
		case <-exited:
			return errors.New("ended by itself")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// plainEnvironment leaves out what would change how a Go program collects garbage or uses processors.
func plainEnvironment(dir string) []string {
	env := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG", "HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NOTIFY_SOCKET":
		default:
			env = append(env, v)
		}
	}
	return env
}

// freePorts returns two ports that nobody listens on now.
func freePorts() (a, b int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}
