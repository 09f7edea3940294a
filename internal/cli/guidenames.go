package cli

import (
	"bytes"
	"fmt"
	"net"
	"net/http"

	"github.com/usher-http/usher/statuscode"
)

// A namingListener accepts connections whose status lines name a status as the guide does. net/http has its own names, some of them of
// older documents, and says "status code 104" where it has none; it offers no way to give it others.
type namingListener struct {
	net.Listener
	names []statusNames
}

// statusNames are the end of a status line as net/http has it and as the guide has it.
type statusNames struct{ theirs, ours []byte }

func (l namingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return namingConn{c, l.names}, nil
}

type namingConn struct {
	net.Conn
	names []statusNames
}

// Write changes the status line that p begins with, if that is one of net/http's with another name than the guide's. net/http flushes after
// each answer, interim ones too, so that a status line is at the beginning of a write; and nothing in the guide reads like one of those.
func (c namingConn) Write(p []byte) (int, error) {
	const version = len("HTTP/1.1 ")
	if len(p) > version && bytes.HasPrefix(p, []byte("HTTP/1.")) {
		for _, n := range c.names {
			if rest, ok := bytes.CutPrefix(p[version:], n.theirs); ok {
				return c.writeAs(p, bytes.Join([][]byte{p[:version], n.ours, rest}, nil))
			}
		}
	}
	return c.Conn.Write(p)
}

// CloseWrite is what net/http closes gracefully by, so that a client which still sends reads the answer and no reset.
func (c namingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c namingConn) writeAs(p, q []byte) (int, error) {
	if _, err := c.Conn.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

// differentNames lists the statuses that net/http names otherwise than the guide. It reads the guide: not for commands that have no use for it.
func differentNames() (list []statusNames) {
	for _, c := range statuscode.All() {
		theirs, ours := http.StatusText(c.Number), c.Name
		switch {
		case c.State == statuscode.Unused && theirs != "": // of 418, the joke
			continue
		case c.State == statuscode.Unused:
			ours = ""
		}
		if theirs == "" {
			theirs = fmt.Sprintf("status code %d", c.Number)
		}
		if theirs != ours {
			list = append(list, statusNames{
				fmt.Appendf(nil, "%d %s\r\n", c.Number, theirs), fmt.Appendf(nil, "%d %s\r\n", c.Number, ours)})
		}
	}
	return list
}
