package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/usher-http/usher/internal/gateway/config"
)

// A socket is where a listener is bound: a TCP port, the UDP port of the same number, or one of the two.
type socket struct {
	tcp *net.TCPListener
	udp *net.UDPConn
}

// How often a pair of ports is looked for where the system chooses the port.
const pairAttempts = 20

// bind opens what the listener needs and s has not got. port is 0 or the one that the listener is bound to already. With
// port 0 the UDP port must get the number of the TCP port, which may be taken. After an error s is as it was.
func (s *socket) bind(ctx context.Context, l *config.Listener, port uint16) error {
	var err error
	for range pairAttempts {
		opened := *s
		if err = opened.open(ctx, l, port); err == nil {
			*s = opened
			return nil
		}
		opened.closeBut(s)
		if port != 0 || l.Port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return err
}

// open leaves open what it opened before an error.
func (s *socket) open(ctx context.Context, l *config.Listener, port uint16) error {
	if (l.H1 || l.H2) && s.tcp == nil {
		at := addressOf(l, max(port, s.port()))
		in, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
		if err != nil {
			return bindError(fmt.Sprintf("%d:%d: listener %q", l.Line, l.Column, l.Name), "tcp", at, err)
		}
		s.tcp = in.(*net.TCPListener)
	}
	if l.H3 && s.udp == nil {
		at := addressOf(l, max(port, s.port()))
		in, err := new(net.ListenConfig).ListenPacket(ctx, "udp", at)
		if err != nil {
			return bindError(fmt.Sprintf("%d:%d: listener %q (HTTP/3)", l.Line, l.Column, l.Name), "udp", at, err)
		}
		s.udp = in.(*net.UDPConn)
	}
	return nil
}

// addressOf is the configured address, with the port that is bound already.
func addressOf(l *config.Listener, bound uint16) string {
	host, _, err := net.SplitHostPort(l.Address)
	if err != nil || bound == 0 {
		return l.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(int(bound)))
}

// port is 0 where nothing is bound.
func (s *socket) port() uint16 {
	switch {
	case s.tcp != nil:
		return s.tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	case s.udp != nil:
		return s.udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	return 0
}

// closeBut closes what other does not have.
func (s *socket) closeBut(other *socket) {
	if s.tcp != nil && s.tcp != other.tcp {
		s.tcp.Close()
	}
	if s.udp != nil && s.udp != other.udp {
		s.udp.Close()
	}
}

// bindError says in people's words why an address cannot be had. what begins with the place in the file; inFile
// puts the file before it.
func bindError(what, network, at string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(at)
		flag := map[string]string{"tcp": "t", "udp": "u"}[network]
		hint = "\n    hint: the port is taken; `ss -l" + flag + "np 'sport = :" + port + "'` tells by whom"
	case errors.Is(err, syscall.EACCES):
		hint = "\n    hint: ports below 1024 need root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "\n    hint: no interface of this machine has the address"
	case isOneOf(err, shortages[:2]):
		hint = "\n    hint: " + cureOpenFiles
	}
	// The cause without "listen tcp ADDRESS: bind:", which would say everything twice.
	cause := err
	var call *os.SyscallError
	if errors.As(err, &call) {
		cause = call.Err
	}
	return &listenError{fmt.Sprintf("%s: cannot listen on %s (%s): %s%s", what, at, network, cause, hint), network, at, err}
}

// inFile puts the file before the place of a listenError.
func inFile(path string, err error) error {
	var e *listenError
	if !errors.As(err, &e) {
		return err
	}
	return &listenError{path + ":" + e.text, e.network, e.at, e.cause}
}

type listenError struct {
	text        string
	network, at string
	cause       error
}

func (e *listenError) Error() string { return e.text }
func (e *listenError) Unwrap() error { return e.cause }

// A lease lends the TCP port to one http.Server. Closing it ends that server's Accept and leaves the port open, so that
// the next server takes over and no client is turned away in between.
type lease struct {
	*net.TCPListener
	wrap     func(net.Conn) *conn
	returned atomic.Bool
}

// lend must be called only after Accept of the last lease has returned for good.
func (s *socket) lend(wrap func(net.Conn) *conn) *lease {
	s.tcp.SetDeadline(time.Time{})
	return &lease{TCPListener: s.tcp, wrap: wrap}
}

func (a *lease) Accept() (net.Conn, error) {
	c, err := a.TCPListener.Accept()
	if err != nil {
		if a.returned.Load() {
			return nil, net.ErrClosed
		}
		return nil, err
	}
	return a.wrap(c), nil
}

func (a *lease) Close() error {
	if a.returned.Swap(true) {
		return nil // the port may be lent to another by now
	}
	return a.SetDeadline(time.Unix(1, 0))
}
