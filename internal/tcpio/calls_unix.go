//go:build unix && (!linux || race || 386)

package tcpio

import "syscall"

// Elsewhere than on Linux a call of the system is the C library's, and made as everybody makes it. So it is under the race detector,
// which learns here that what one end has written is read by the other one later. On 386, Linux has one number for all calls on sockets.

func read(fd uintptr, p []byte) (int, error) { return again(syscall.Read, fd, p) }

func write(fd uintptr, p []byte, _ bool) (int, error) { return again(syscall.Write, fd, p) }

// again returns syscall.EAGAIN where the call would have to wait.
func again(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		if n, err := call(int(fd), p); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// quiet reports whether nothing is there to be read.
func quiet(fd uintptr) bool {
	for {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}

// waiting reports whether something has come that is not read yet.
func waiting(fd uintptr) bool { return !quiet(fd) }
