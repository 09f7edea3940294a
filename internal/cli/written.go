package cli

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// A written writer remembers that something could not be written: most of what prints does not look.
type written struct {
	io.Writer
	err error // the first; nil: all is well
}

func (w *written) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// outcome is what a command ends with that returned err. Nobody takes a report that was lost (the disk is full) for one without
// findings. A reader that has left (EPIPE) had enough.
func (w *written) outcome(err error) error {
	if w.err == nil || errors.Is(w.err, syscall.EPIPE) {
		return err
	}
	var exit *ExitError
	switch {
	case err == nil:
		return &ExitError{exitFailed, w.err}
	case errors.As(err, &exit) && exit.Err == nil:
		return &ExitError{exit.Code, w.err}
	}
	return err
}

// fileOf returns the file that is written to, if it is one.
func fileOf(w io.Writer) (*os.File, bool) {
	switch x := w.(type) {
	case *written:
		return fileOf(x.Writer)
	case *watched:
		return fileOf(x.Writer)
	case *os.File:
		return x, true
	}
	return nil, false
}
