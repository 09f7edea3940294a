//go:build unix

package guide

import (
	"os/exec"
	"syscall"
)

// A browser is many processes. They get a group of their own, so that all of them can be ended by its number.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
