//go:build unix

package gateway

import (
	"math"
	"syscall"
)

// openFiles is how many files this process may open, which Go's runtime has raised as far as it may. 0: no limit is known.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return int(limit.Cur)
}
