package gateway

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
)

// A parting is the UDP ports whose servers a reload took out of service and that drain: their connections live on the socket, so that the port
// cannot be had until they have ended. The zero value is ready for use, by many at once.
type parting struct {
	mu    sync.Mutex
	ports map[string]int
}

func (p *parting) add(port uint16, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports == nil {
		p.ports = map[string]int{}
	}
	p.ports[fmt.Sprint(port)] += n
}

// explain says where it is us who have the port that cannot be had.
func (p *parting) explain(err error) error {
	var e *listenError
	if !errors.As(err, &e) || e.network != "udp" || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	_, port, _ := net.SplitHostPort(e.at)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[port] == 0 {
		return err
	}
	what, _, _ := strings.Cut(e.text, "\n")
	e.text = what + "\n    hint: connections over HTTP/3 of an earlier configuration still end there; reload again when they have (timeouts.drain at most)"
	return err
}
