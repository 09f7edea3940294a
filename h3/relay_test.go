package h3_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/quicvarint"
)

// A relay passes datagrams between a client and a server, and holds back what a test has not let go yet.
type relay struct {
	addr string
	// answers lets go of what the server says. Until then the client has nothing but what its session told it; and quic-go's client
	// races with the server's answer where it opens streams before that.
	answers atomic.Bool
	// finishes lets go of the client's half of the handshake. What the client sends until then is early for certain.
	finishes atomic.Bool
}

func newRelay(t testing.TB, server string) *relay {
	t.Helper()
	front := listen(t).(*net.UDPConn)
	back, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: front.LocalAddr().String()}
	var directions sync.WaitGroup
	t.Cleanup(func() {
		front.Close()
		back.Close()
		directions.Wait()
	})
	var client atomic.Pointer[net.UDPAddr]
	directions.Go(func() {
		pass(front, &r.finishes, func(p []byte, from net.Addr) bool {
			client.Store(from.(*net.UDPAddr))
			return finishing(p)
		}, func(p []byte) { back.Write(p) })
	})
	directions.Go(func() {
		pass(back.(net.PacketConn), &r.answers, func([]byte, net.Addr) bool { return true }, func(p []byte) { front.WriteToUDP(p, client.Load()) })
	})
	return r
}

// pass gives to what comes from, but keeps what is to be held until it is free.
func pass(from net.PacketConn, free *atomic.Bool, hold func([]byte, net.Addr) bool, to func([]byte)) {
	var held [][]byte
	buf := make([]byte, 1<<16)
	for {
		from.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, sender, err := from.ReadFrom(buf)
		open := free.Load()
		if open {
			for _, p := range held {
				to(p)
			}
			held = nil
		}
		if e, ok := err.(net.Error); ok && e.Timeout() {
			continue
		}
		if err != nil {
			return
		}
		if hold(buf[:n], sender) && !open {
			held = append(held, append([]byte(nil), buf[:n]...))
		} else {
			to(buf[:n])
		}
	}
}

// finishing reports whether a datagram has more than Initial and 0-RTT packets (RFC 9000 section 17.2, version 1): a Handshake packet,
// which is what ends the handshake, or a 1-RTT packet.
func finishing(p []byte) bool {
	for len(p) > 6 {
		kind := p[0] & 0xf0
		if kind != 0xc0 && kind != 0xd0 { // Initial, 0-RTT
			return p[0] != 0 // padding behind the last packet
		}
		rest := p[5:] // behind the version
		for range 2 { // the connection IDs
			rest = rest[min(len(rest), 1+int(rest[0])):]
			if len(rest) == 0 {
				return false
			}
		}
		if kind == 0xc0 { // the token
			n, size, err := quicvarint.Parse(rest)
			if err != nil || uint64(len(rest)-size) < n {
				return false
			}
			rest = rest[size+int(n):]
		}
		n, size, err := quicvarint.Parse(rest)
		if err != nil || uint64(len(rest)-size) < n {
			return false
		}
		p = rest[size+int(n):]
	}
	return false
}
