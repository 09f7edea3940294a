//go:build unix && !linux

package tcpio

import "syscall"

// Elsewhere than on Linux a call of the system is the C library's, and made as everybody makes it.

func read(fd uintptr, p []byte) (int, error) { return again(syscall.Read, fd, p) }

func write(fd uintptr, p []byte) (int, error) { return again(syscall.Write, fd, p) }

// again returns syscall.EAGAIN where the call would have to wait.
func again(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		if n, err := call(int(fd), p); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
