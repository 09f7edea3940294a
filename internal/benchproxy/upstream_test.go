//go:build linux

package benchproxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An upstream is an HTTP/1.1 server that costs as little as can be, so that it leaves the processors to those who are
// measured: one thread round epoll, one read and one write for a request. It knows GET, and POST with a Content-Length;
// it answers once the content has come. / is the small body, /large the large one, /sum the SHA-256 of the request's content.
type upstream struct {
	epoll, listener        int
	conns                  map[int]*upstreamConn
	buf                    []byte
	large                  []byte
	now                    int64
	date                   string
	connections, requested atomic.Int64
}

type upstreamConn struct {
	fd      int
	head    []byte // of a request that has not come wholly
	left    int    // bytes of content that are still to come
	path    string
	sum     hash.Hash // nil: not asked for
	out     []byte    // what the socket did not take
	waiting bool      // for the socket to take more
}

// serveUpstream prints its address, then its connections and requests for each line that it reads, until the end of them.
func serveUpstream() error {
	u := &upstream{conns: map[int]*upstreamConn{}, buf: make([]byte, 256<<10), large: bytes.Repeat([]byte("0123456789abcde\n"), largeBytes/16)}
	port, err := u.listen()
	if err != nil {
		return err
	}
	fmt.Printf("127.0.0.1:%d\n", port)
	failed := make(chan error, 1)
	go func() { failed <- u.run() }()
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(u.connections.Load(), u.requested.Load())
		}
		failed <- nil
	}()
	return <-failed
}

func (u *upstream) listen() (port int, err error) {
	if u.listener, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err := syscall.Bind(u.listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	if err := syscall.Listen(u.listener, 4096); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(u.listener)
	if err != nil {
		return 0, err
	}
	if u.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return 0, err
	}
	return at.(*syscall.SockaddrInet4).Port, u.watch(syscall.EPOLL_CTL_ADD, u.listener, syscall.EPOLLIN)
}

func (u *upstream) watch(op, fd int, events uint32) error {
	return syscall.EpollCtl(u.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (u *upstream) run() error {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, 512)
	for {
		n, err := syscall.EpollWait(u.epoll, events, -1)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		u.tick()
		for _, e := range events[:n] {
			if int(e.Fd) == u.listener {
				if err := u.accept(); err != nil {
					return err
				}
				continue
			}
			c := u.conns[int(e.Fd)]
			if err := u.turn(c); err != nil {
				syscall.Close(c.fd) // takes it out of epoll too
				delete(u.conns, c.fd)
			}
		}
	}
}

// tick keeps the Date field right: an upstream that sends none would have some proxies add it and others not.
func (u *upstream) tick() {
	now := time.Now()
	if s := now.Unix(); s != u.now {
		u.now, u.date = s, now.UTC().Format(http.TimeFormat)
	}
}

func (u *upstream) accept() error {
	for {
		fd, _, err := syscall.Accept4(u.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return err
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return err
		}
		if err := u.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN); err != nil {
			return err
		}
		u.conns[fd] = &upstreamConn{fd: fd}
		u.connections.Add(1)
	}
}

// turn reads once and answers what is complete. An error ends the connection.
func (u *upstream) turn(c *upstreamConn) error {
	if len(c.out) > 0 {
		return u.send(c, nil)
	}
	n, err := syscall.Read(c.fd, u.buf)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	var answer []byte
	for p := u.buf[:n]; len(p) > 0; {
		var done bool
		if p, done, err = c.take(p); err != nil {
			return err
		}
		if done {
			u.requested.Add(1)
			answer = u.answer(answer, c)
		}
	}
	if answer == nil {
		return nil
	}
	return u.send(c, answer)
}

// send writes what is left over, then p. While the socket takes nothing more, nothing is read.
func (u *upstream) send(c *upstreamConn, p []byte) error {
	c.out = append(c.out, p...)
	for len(c.out) > 0 {
		n, err := syscall.Write(c.fd, c.out)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			return err
		}
		c.out = c.out[n:]
	}
	if len(c.out) == 0 {
		c.out = nil
	}
	if waiting := len(c.out) > 0; waiting != c.waiting {
		c.waiting = waiting
		events := uint32(syscall.EPOLLIN)
		if waiting {
			events = syscall.EPOLLOUT
		}
		return u.watch(syscall.EPOLL_CTL_MOD, c.fd, events)
	}
	return nil
}

// take uses up the beginning of p and tells whether a request is complete with it.
func (c *upstreamConn) take(p []byte) (rest []byte, done bool, err error) {
	if c.left == 0 {
		head := p
		if len(c.head) > 0 {
			head = append(c.head, p...)
		}
		end := bytes.Index(head, []byte("\r\n\r\n"))
		if end < 0 {
			if len(head) > 64<<10 {
				return nil, false, errors.New("a header section without end")
			}
			c.head = bytes.Clone(head)
			return nil, false, nil
		}
		rest = p[end+4-len(c.head):]
		c.head = c.head[:0]
		if err := c.begin(string(head[:end])); err != nil {
			return nil, false, err
		}
		return rest, c.left == 0, nil
	}
	n := min(c.left, len(p))
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	c.left -= n
	return p[n:], c.left == 0, nil
}

func (c *upstreamConn) begin(head string) error {
	line, fields, _ := strings.Cut(head, "\r\n")
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return fmt.Errorf("request line %q", line)
	}
	c.path, c.left, c.sum = words[1], 0, nil
	if c.path == "/sum" {
		c.sum = sha256.New()
	}
	if words[0] == "GET" {
		return nil
	}
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		if strings.EqualFold(name, "Content-Length") {
			var err error
			c.left, err = strconv.Atoi(strings.TrimSpace(value))
			return err
		}
	}
	return errors.New("content without Content-Length")
}

func (u *upstream) answer(to []byte, c *upstreamConn) []byte {
	content := []byte(smallBody)
	switch {
	case c.sum != nil:
		content = []byte(hex.EncodeToString(c.sum.Sum(nil)))
	case c.path == "/large":
		content = u.large
	}
	to = append(to, "HTTP/1.1 200 OK\r\nDate: "...)
	to = append(to, u.date...)
	to = append(to, "\r\nContent-Type: text/plain\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(content)), 10)
	to = append(to, "\r\n\r\n"...)
	return append(to, content...)
}

// The upstream answers rightly, however the requests are cut into pieces.
func TestUpstream(t *testing.T) {
	u := startChild(t, "upstream")
	// A client of net/http takes another connection where it comes back late from a write.
	c, err := net.Dial("tcp", u.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	content := bytes.Repeat([]byte("usher"), 50_000)
	sum := sha256.Sum256(content)
	for _, test := range []struct {
		path    string
		content []byte
		want    string
	}{
		{"/", nil, smallBody},
		{"/large", nil, strings.Repeat("0123456789abcde\n", largeBytes/16)},
		{"/sum", content, hex.EncodeToString(sum[:])},
		{"/", content, smallBody},
		{"/", nil, smallBody},
	} {
		method := "GET"
		if test.content != nil {
			method = "POST"
		}
		r, err := http.NewRequest(method, "http://"+u.addr+test.path, bytes.NewReader(test.content))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchange(c, in, r); err != nil || got.status != 200 || string(got.body) != test.want {
			t.Errorf("%s %s: %v, %d bytes of status %d, want %d", method, test.path, err, len(got.body), got.status, len(test.want))
		}
	}
	if conns, requests := u.counts(t); conns != 1 || requests != 5 {
		t.Errorf("%d connections, %d requests; want 1 and 5", conns, requests)
	}
	stream := "POST /sum HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nusherGET /large HTTP/1.1\r\nHost: x\r\n\r\n"
	for cut := 1; cut < len(stream); cut++ {
		c, paths := new(upstreamConn), []string{}
		for _, piece := range []string{stream[:cut], stream[cut:]} {
			for p := []byte(piece); len(p) > 0; {
				rest, done, err := c.take(p)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if p = rest; done {
					paths = append(paths, c.path)
				}
			}
		}
		if fmt.Sprint(paths) != "[/sum /large]" {
			t.Errorf("cut at %d: %v", cut, paths)
		}
	}
}

type fetched struct {
	status int
	major  int
	header http.Header
	body   []byte
}

func fetch(c *http.Client, r *http.Request) (f fetched, err error) {
	res, err := c.Do(r)
	if err != nil {
		return f, err
	}
	return read(res)
}

// exchange is fetch on a connection.
func exchange(c net.Conn, in *bufio.Reader, r *http.Request) (f fetched, err error) {
	if err := r.Write(c); err != nil {
		return f, err
	}
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return f, err
	}
	return read(res)
}

func read(res *http.Response) (f fetched, err error) {
	defer res.Body.Close()
	f = fetched{status: res.StatusCode, major: res.ProtoMajor, header: res.Header}
	f.body, err = io.ReadAll(res.Body)
	return f, err
}
