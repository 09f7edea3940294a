package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is long, because a machine with two cores that runs the race
// detector and other tests beside this one is slow; nothing waits that long when all is well.
const patience = 40 * time.Second

// A transcript takes what a process writes, line by line. Tests wait for lines instead of sleeping.
type transcript struct {
	mu      sync.Mutex
	partial []byte
	lines   []string
	changed chan struct{} // closed by the next write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, p...)
	for {
		i := bytes.IndexByte(s.partial, '\n')
		if i < 0 {
			break
		}
		s.lines = append(s.lines, string(s.partial[:i]))
		s.partial = s.partial[i+1:]
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// mark returns the number of lines so far: what comes later has this number or a greater one.
func (s *transcript) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// text is all that was written, unfinished lines included.
func (s *transcript) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(s.lines[:len(s.lines):len(s.lines)], string(s.partial)), "\n")
}

func (s *transcript) from(mark int) (lines []string, changed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[min(mark, len(s.lines)):], s.changed
}

// await returns the first line at or after mark that fits. It ends the test where none comes in time.
func (s *transcript) await(t testing.TB, mark int, what string, fits func(line string) bool) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		lines, changed := s.from(mark)
		for _, line := range lines {
			if fits(line) {
				return line
			}
		}
		mark += len(lines)
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no line with %s in:\n%s", what, s.text())
		}
	}
}

func (s *transcript) awaitText(t testing.TB, mark int, part string) string {
	t.Helper()
	return s.await(t, mark, part, func(line string) bool { return strings.Contains(line, part) })
}

// An entry is a line of the log, as far as tests look at it.
type entry struct {
	Message       string `json:"msg"`
	Listener      string `json:"listener"`
	Protocol      string `json:"proto"`
	Remote        string `json:"remote"`
	Method        string `json:"method"`
	Authority     string `json:"authority"`
	Path          string `json:"path"`
	Status        int    `json:"status"`
	Verdict       string `json:"verdict"`
	Reason        string `json:"reason"`
	Error         string `json:"error"`
	Site          string `json:"site"`
	SNI           string `json:"sni"`
	HandshakeSite string `json:"handshake_site"`
	TLS           string `json:"tls"`
	Resumed       bool   `json:"resumed"`
}

// entries returns the access log's lines at or after mark. Every line of the log must be JSON.
func (s *transcript) entries(t testing.TB, mark int) []entry {
	t.Helper()
	lines, _ := s.from(mark)
	var list []entry
	for _, line := range lines {
		if e := parseEntry(t, line); e.Message == "request" {
			list = append(list, e)
		}
	}
	return list
}

func parseEntry(t testing.TB, line string) entry {
	t.Helper()
	var e entry
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("a line of the log is no JSON (%v): %s", err, line)
	}
	return e
}

// awaitEntry returns the first line of the access log at or after mark that fits.
func (s *transcript) awaitEntry(t testing.TB, mark int, what string, fits func(entry) bool) entry {
	t.Helper()
	return parseEntry(t, s.await(t, mark, what, func(line string) bool {
		e := parseEntry(t, line)
		return e.Message == "request" && fits(e)
	}))
}

// awaitEntries waits until the access log has n lines from mark on, and returns them.
func (s *transcript) awaitEntries(t testing.TB, mark, n int) []entry {
	t.Helper()
	var list []entry
	s.await(t, mark, "the last of the requests", func(line string) bool {
		if e := parseEntry(t, line); e.Message == "request" {
			list = append(list, e)
		}
		return len(list) == n
	})
	return list
}
