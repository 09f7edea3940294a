package gateway

import (
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// failing is a listener that accepts nothing.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return nil, net.ErrClosed
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

// Where no file is left, clients wait and the operator can help: once is enough for as long as it goes on.
func TestShortageIsWarnedOfOnce(t *testing.T) {
	r := newFolder(t).start(t, basic+"log: {level: warn}\n")
	srv := newTCPServer(r.listeners[0])
	in := &failing{errs: []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.EMFILE, syscall.ENOBUFS}}
	if err := srv.serve(in); err != net.ErrClosed {
		t.Errorf("ended with %v", err)
	}
	text := r.log.text()
	if strings.Count(text, "\n") != 1 {
		t.Fatalf("logged %q, want one line", text)
	}
	r.log.wait(t, "msg", "connections cannot be accepted", "listener", "tls", "level", "WARN", "error", "accept tcp: accept4: too many open files",
		"cure", "raise the limit of open files: ulimit -n, or LimitNOFILE of systemd")
}

// HTTP/3 has the same bound and the same warning, whoever is refused first, and how many.
func TestManyH3IsWarnedOfOnce(t *testing.T) {
	r := newFolder(t).start(t, basic+"log: {level: warn}\n")
	s := shortage{listener: r.listeners[0]}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { s.tell(errManyH3) })
	}
	all.Wait()
	if text := r.log.text(); strings.Count(text, "\n") != 1 || !strings.Contains(text, cureOpenFiles) {
		t.Errorf("logged %q, want one line with the cure", text)
	}
}

func TestBindWithoutFilesHasAHint(t *testing.T) {
	err := bindError(`3:15: listener "a"`, "tcp", "127.0.0.1:1", os.NewSyscallError("socket", syscall.EMFILE))
	if want := "too many open files\n    hint: raise the limit of open files"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q", err, want)
	}
}
