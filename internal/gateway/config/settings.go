package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func (k *checker) checkLog() Log {
	c, spec := k.root.key("log"), k.file.Log
	k.oneOf(c.key("format"), spec.Format, "json", "text")
	l := Log{Format: spec.Format, Output: spec.Output, Access: spec.Access}
	if k.oneOf(c.key("level"), spec.Level, "debug", "info", "warn", "error") {
		// Cannot fail: slog knows the words.
		_ = l.Level.UnmarshalText([]byte(spec.Level))
	} else {
		l.Level = slog.LevelInfo
	}
	if spec.Output == "stderr" || spec.Output == "stdout" {
		return l
	}
	at := c.key("output")
	if k.needed(c, "output", spec.Output) {
		l.Output = k.resolve(spec.Output)
		k.logFile(at, spec.Output, l.Output)
	}
	return l
}

// logFile refuses what could not be opened for appending. It opens nothing: a check leaves no traces.
func (k *checker) logFile(at *cursor, typed, full string) {
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		k.fail(at, "name a file in it", "output %q is a folder", typed)
		return
	}
	if info, err := os.Stat(filepath.Dir(full)); err != nil || !info.IsDir() {
		k.fail(at, k.where(typed), "output %q lies in no folder that exists", typed)
	}
}

func (k *checker) checkTimeouts() Timeouts {
	c, spec := k.root.key("timeouts"), k.file.Timeouts
	for _, limit := range []struct {
		key   string
		value Duration
	}{{"handshake", spec.Handshake}, {"header", spec.Header}, {"connect", spec.Connect}} {
		if limit.value == 0 {
			k.fail(c.key(limit.key), "remove the key for the default", "%s must be longer than 0s: without a limit, idle peers use up the connections", limit.key)
		}
	}
	return Timeouts{
		Handshake: time.Duration(spec.Handshake), Header: time.Duration(spec.Header), Body: time.Duration(spec.Body),
		Idle: time.Duration(spec.Idle), Connect: time.Duration(spec.Connect), FirstByte: time.Duration(spec.FirstByte),
		Whole: time.Duration(spec.Whole), Drain: time.Duration(spec.Drain),
	}
}

func (k *checker) checkACME() {
	if k.file.ACME != (ACMESpec{}) {
		k.fail(k.root.key("acme"), "remove the section, and use issuer: local or certificates from files", "acme is not available in this version")
	}
}

func (k *checker) checkAdmin(listeners []*Listener) *Admin {
	spec := k.file.Admin
	if spec == nil {
		return nil
	}
	c := k.root.key("admin")
	at := c.key("address").place()
	admin := &Admin{Address: spec.Address, Line: at.Line, Column: at.Column}
	a, hint, err := parseAddress(spec.Address)
	if err != nil {
		k.fail(c.key("address"), hint, "%s", err)
		return admin
	}
	for _, l := range listeners {
		if other, _, err := parseAddress(l.Address); err == nil && a.clashes(other) {
			k.fail(c.key("address"), "", "listener %q has the address %q already", l.Name, spec.Address)
		}
	}
	if spec.TokenFile != "" {
		admin.Token = k.token(c.key("token_file"), spec.TokenFile)
	} else if !a.loopback() {
		k.fail(c.key("token_file"), "name a file with a token, or use an address such as 127.0.0.1:8421", "admin.address %q is not loopback and needs token_file", spec.Address)
	}
	return admin
}

func (k *checker) token(c *cursor, path string) string {
	data, bad := k.read("token_file", path)
	if bad != nil {
		k.fail(c, bad.hint, "%s", bad.message)
		return ""
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		k.fail(c, "make one with: openssl rand -hex 32", "token_file %q is empty", path)
		return ""
	}
	// It travels in a header field (RFC 6750 section 2.1).
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		k.fail(c, "make one with: openssl rand -hex 32", "token_file %q holds more than one word of printable ASCII", path)
		return ""
	}
	if info, err := os.Stat(k.resolve(path)); err == nil && info.Mode().Perm()&0o004 != 0 {
		k.warn(c, WorldReadable, "chmod 600 "+path, "token_file %q can be read by every user of this machine", path)
	}
	return token
}

func (k *checker) checkState() string {
	c := k.root.key("state")
	if !k.needed(k.root, "state", k.file.State) {
		return ""
	}
	folder := k.resolve(k.file.State)
	info, err := os.Stat(folder)
	switch {
	case err == nil && !info.IsDir():
		k.fail(c, "", "state: %q is a file, not a folder", k.file.State)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		k.fail(c, "", "state: cannot read %q: %s", k.file.State, plain(err))
	}
	return folder
}
