//go:build !race && !386

package tcpio

import (
	"syscall"
	"unsafe"
)

// The sockets of package net never block, so that no call of these keeps its thread for longer than the kernel works.

func read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_READ, fd, p, 0) }

func write(fd uintptr, p []byte, more bool) (int, error) {
	if more {
		return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
	}
	return call(syscall.SYS_WRITE, fd, p, 0)
}

// call returns syscall.EAGAIN where it would have to wait. p is not empty.
func call(number, fd uintptr, p []byte, flags uintptr) (int, error) {
	for {
		n, _, err := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, err
	}
}

// quiet reports whether nothing is there to be read.
func quiet(fd uintptr) bool {
	for {
		var one [1]byte
		_, _, err := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}

// waiting reports whether bytes have come that are not read yet. It costs less than quiet, and does not see an end.
func waiting(fd uintptr) bool {
	var n int32
	_, _, err := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	return err != 0 || n > 0
}
