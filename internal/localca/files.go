package localca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	dirMode  fs.FileMode = 0o700
	keyMode  fs.FileMode = 0o600
	certMode fs.FileMode = 0o644 // the root certificate is public

	tempPrefix = ".tmp-"

	// tempAge is when a temporary file counts as left over from a crash: no write takes that long.
	tempAge = time.Hour
)

// Error is a fault of a file that the store keeps: which one, what is wrong, and what to do about it.
type Error struct {
	Path string
	Err  error
	Hint string // may be empty
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%q: %v", e.Path, e.Err)
	if e.Hint != "" {
		text += "\n    hint: " + e.Hint
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// replaceFile writes a file so that whoever looks sees the old content or the new one, whole, whatever
// happens meanwhile.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	return viaTemp(path, data, mode, os.Rename)
}

// createFile does the same for a file that must not exist yet; fs.ErrExist says that it does. A hard link
// is the one way to be both whole and first without a lock that a crash would leave behind.
func createFile(path string, data []byte, mode fs.FileMode) error {
	err := viaTemp(path, data, mode, os.Link)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return &Error{path, err, "the folder must be writable and on a file system that knows hard links"}
}

func viaTemp(path string, data []byte, mode fs.FileMode, publish func(from, to string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPrefix)
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after a rename there is nothing left to remove
	if err := fill(temp, data, mode); err != nil {
		return err
	}
	if err := publish(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func fill(file *os.File, data []byte, mode fs.FileMode) error {
	_, err := file.Write(data)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync() // the name must not reach the disk before the content
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a new name last through a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkPrivate refuses a key that others may read: it is no secret any more.
func checkPrivate(path string) error {
	if runtime.GOOS == "windows" {
		return nil // the mode bits say nothing there
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &Error{path, fmt.Errorf("can be read or written by others (mode %04o)", mode),
			"chmod 600, if nobody has taken a copy of it; otherwise make a new root"}
	}
	return nil
}

// sweep removes temporary files that a crash left behind. That it may fail does not matter: they do no harm.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(entry.Name(), tempPrefix) &&
			time.Since(info.ModTime()) > tempAge {
			os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}
