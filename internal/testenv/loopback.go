package testenv

import (
	"crypto/rand"
	"fmt"
	"net"
	"runtime"
	"testing"
)

// Loopback returns an address of the loopback interface that no other test uses, for tests that let go of a port and need it again:
// on 127.0.0.1 any connection of a test that runs beside them may get that port meanwhile. Linux has all of 127.0.0.0/8; elsewhere it
// is 127.0.0.1 after all.
func Loopback(t testing.TB) net.IP {
	t.Helper()
	if runtime.GOOS != "linux" {
		return net.IPv4(127, 0, 0, 1)
	}
	var b [3]byte
	rand.Read(b[:])
	// Neither 127.0.x.x, where others are, nor a last byte that a network or its broadcast address ends in.
	return net.IPv4(127, 1+b[0]%250, b[1], 1+b[2]%250)
}

// LoopbackAny is [Loopback] with a port that the system chooses, to listen on.
func LoopbackAny(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%s:0", Loopback(t))
}
