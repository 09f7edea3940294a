package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestGarbage: two thousand connections of nonsense, from several sides at once, leave nothing behind.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := play(t, shortLimits, "")
	stop := s.steady(t)
	flood(t, s, 600) // what a server needs once, it has afterwards
	eventually(t, "the first connections are gone", func() bool { return s.gauge(t, "process_open_fds") < 60 })
	before, goroutines, files := resident(t, s.cmd.Process.Pid), s.gauge(t, "go_goroutines"), s.gauge(t, "process_open_fds")
	flood(t, s, 2000)
	// The steady client's connections are left, one for each protocol.
	eventually(t, "the connections are gone", func() bool {
		open := 0.0
		for _, n := range s.metrics(t, "usher_connections") {
			count, err := strconv.ParseFloat(n, 64)
			if err != nil {
				t.Fatal(err)
			}
			open += count
		}
		const some = 10 // those that come and go anyway: the admin listener's, quic-go's
		return open == float64(len(protocols)) && s.gauge(t, "go_goroutines") <= goroutines+some && s.gauge(t, "process_open_fds") <= files+some
	})
	after := resident(t, s.cmd.Process.Pid)
	t.Logf("resident: %d KiB before, %d KiB after", before>>10, after>>10)
	// A connection of HTTP/2 needs 45 KiB, so that two thousand that stay would need twice as much.
	if grown := after - before; grown > 64<<20 {
		t.Errorf("2,000 connections left %d KiB behind", grown>>10)
	}
	stop(1)
}

func (s *server) gauge(t testing.TB, name string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(s.metrics(t, name)[name], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flood makes n connections that do no good.
func flood(t testing.TB, s *stage, n int) {
	t.Helper()
	public, plain := s.at(t, "public"), s.at(t, "plain")
	config := s.tls(shop, "h2", "http/1.1")
	work := make(chan int)
	var sides sync.WaitGroup
	for range 8 {
		sides.Go(func() {
			for i := range work {
				nonsense(i, public, plain, config)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	sides.Wait()
}

// nonsense is one connection. Its errors are what it is for.
func nonsense(i int, public, plain string, config *tls.Config) {
	junk := make([]byte, 1200)
	rand.Read(junk)
	network, at := "tcp", public
	switch i % 8 {
	case 0:
		network = "udp"
		junk[0] |= 0xc0 // looks like the first packet of a connection
		copy(junk[1:], []byte{0, 0, 0, 1, 8})
	case 1:
		at = plain
	case 2:
		copy(junk, []byte{22, 3, 1, 4, 0, 1, 0, 3, 252, 3, 3})
	case 3:
		junk = []byte("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	case 4:
		junk = nil
	}
	c, err := net.DialTimeout(network, at, patience)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	switch i % 8 {
	case 5, 6:
		// Nonsense inside TLS.
		secured := tls.Client(c, config)
		if secured.Handshake() != nil {
			return
		}
		secured.Write(junk)
		if i%8 == 5 {
			io.Copy(io.Discard, secured)
		}
		return
	case 7:
		// Closed hard in the middle of a handshake.
		c.Write([]byte{22, 3, 1, 2, 0, 1})
		c.(*net.TCPConn).SetLinger(0)
		return
	}
	c.Write(junk)
	if network == "tcp" && junk != nil && i%8 != 2 {
		io.Copy(io.Discard, c)
	}
}

// resident is the memory of a process in bytes.
func resident(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("this system does not tell what a process needs: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
