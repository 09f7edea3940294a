package h3_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// holdback relays datagrams to a server, and holds the client's half of the handshake back for a while after the server
// has answered: early data that was sent meanwhile is early for certain. It returns its address.
func holdback(t testing.TB, server string, wait time.Duration) string {
	t.Helper()
	front := listen(t).(*net.UDPConn)
	back, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	var relays sync.WaitGroup
	t.Cleanup(func() {
		front.Close()
		back.Close()
		relays.Wait()
	})
	var client atomic.Pointer[net.UDPAddr]
	var answered atomic.Int64 // UnixNano
	relays.Go(func() {
		var held [][]byte
		buf := make([]byte, 1<<16)
		for {
			front.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, from, err := front.ReadFromUDP(buf)
			free := answered.Load() != 0 && time.Since(time.Unix(0, answered.Load())) > wait
			if free {
				for _, b := range held {
					back.Write(b)
				}
				held = nil
			}
			if e, ok := err.(net.Error); ok && e.Timeout() {
				continue
			}
			if err != nil {
				return
			}
			client.Store(from)
			// RFC 9000 section 17.2: in version 1 a long header with type 1 is a 0-RTT packet.
			early := buf[0]&0xf0 == 0xd0
			if free || early || answered.Load() == 0 {
				back.Write(buf[:n])
			} else {
				held = append(held, append([]byte(nil), buf[:n]...))
			}
		}
	})
	relays.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			answered.CompareAndSwap(0, time.Now().UnixNano())
			if to := client.Load(); to != nil {
				front.WriteToUDP(buf[:n], to)
			}
		}
	})
	return front.LocalAddr().String()
}
