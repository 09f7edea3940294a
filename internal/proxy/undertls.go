package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/usher-http/usher/internal/tcpio"
)

// underTLS is a socket under TLS. crypto/tls takes the end of the socket for the end of what is said where it comes between two records;
// without a closure alert it is none (RFC 9112 section 9.8).
type underTLS struct {
	net.Conn
	socket *tcpio.Socket // nil: not known
	looks  bool          // reading does not wait

	// Where in a record is what was read last (RFC 8446 section 5.1).
	header [5]byte // type, version, length
	have   int     // of the header
	left   int     // of what is behind it
}

var errNoAlert = fmt.Errorf("the TLS connection ended without a closure alert: %w", io.ErrUnexpectedEOF)

func (u *underTLS) Read(p []byte) (int, error) {
	n, err := u.read(p)
	u.follow(p[:n])
	if err == io.EOF {
		err = errNoAlert
	}
	return n, err
}

func (u *underTLS) read(p []byte) (int, error) {
	switch {
	case u.looks:
		return u.look(p)
	case u.socket != nil:
		return u.socket.Read(p)
	}
	return u.Conn.Read(p)
}

// look reads what is there. crypto/tls goes on behind the error of a deadline as if nothing had been.
func (u *underTLS) look(p []byte) (int, error) {
	if u.socket != nil {
		if n, ok, err := u.socket.TryRead(p); ok {
			return n, err
		}
	}
	return 0, os.ErrDeadlineExceeded
}

// follow keeps account of where in a record reading is.
func (u *underTLS) follow(p []byte) {
	for len(p) > 0 {
		n := min(u.left, len(p))
		if u.left -= n; n == 0 {
			n = copy(u.header[u.have:], p)
			if u.have += n; u.have == len(u.header) {
				u.have, u.left = 0, int(u.header[3])<<8|int(u.header[4])
			}
		}
		p = p[n:]
	}
}

// try reads content that is at hand, in the socket or in what of it was read ahead. ok is false where nothing is, nor an end.
func (u *underTLS) try(secured io.Reader, p []byte) (n int, ok bool, err error) {
	u.looks = true
	n, err = secured.Read(p)
	u.looks = false
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // an end behind content is told again
	}
	return n, n > 0 || err != nil, err
}

// quiet reports whether nothing is at hand, not even a part of a record.
func (u *underTLS) quiet(secured io.Reader) bool {
	var one [1]byte
	_, ok, _ := u.try(secured, one[:])
	return !ok && u.have == 0 && u.left == 0
}

func (u *underTLS) Write(p []byte) (int, error) {
	if u.socket != nil {
		return u.socket.Write(p)
	}
	return u.Conn.Write(p)
}
