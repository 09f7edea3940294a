package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stopper calls a run off when the first output comes.
type stopper struct {
	bytes.Buffer
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	s.stop()
	return s.Buffer.Write(p)
}

// TestBulkResumes: what a run that was stopped has not written, the next one with the same state does; nothing is there twice that was finished without a
// gap before it.
func TestBulkResumes(t *testing.T) {
	const n = 400
	dir := t.TempDir()
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "h%d.test\n", i)
	}
	names, state := filepath.Join(dir, "names"), filepath.Join(dir, "state")
	if err := os.WriteFile(names, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"probe", "--bulk", "--names", names, "--state", state, "--connect", "::127.0.0.1:1", "--target-rate", "0", "--parallel", "8"}
	ctx, cancel := context.WithCancel(t.Context())
	first := &stopper{stop: cancel}
	var errs bytes.Buffer
	err := Run(ctx, append(args, "--rate", "250"), nil, nil, first, &errs)
	if ExitCode(err) != 2 || !strings.Contains(errs.String(), "interrupted after ") || !strings.Contains(errs.String(), "hint: the same command goes on from there") {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if lines := strings.Count(first.String(), "\n"); lines == 0 || lines >= n {
		t.Fatalf("the first run wrote %d lines", lines)
	}
	// What is finished behind the first host that is not is asked again, however many that are: one that takes its time is enough.
	text, err := os.ReadFile(state)
	var place bulkState
	if err := errors.Join(err, json.Unmarshal(text, &place)); err != nil {
		t.Fatal(err)
	}
	behind := strings.Count(first.String(), "\n") - place.Done
	if behind < 0 || strings.Contains(first.String(), fmt.Sprintf(" h%d.test ", place.Done)) {
		t.Errorf("%d hosts are said to be finished, and h%d.test is\n%s", place.Done, place.Done, first.String())
	}
	var second bytes.Buffer
	if err := Run(t.Context(), args, nil, nil, &second, &errs); ExitCode(err) != 2 { // nobody is reached
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(first.String() + second.String()) {
		if fields := strings.Fields(line); fields[0] == "not" {
			seen[fields[2]]++
		}
	}
	twice := 0
	for _, times := range seen {
		twice += times - 1
	}
	if len(seen) != n || twice != behind {
		t.Errorf("%d of %d hosts, %d of them twice, want %d", len(seen), n, twice, behind)
	}
}

// A lineWatch looks at how output comes.
type lineWatch struct {
	writes, torn int
}

func (l *lineWatch) Write(p []byte) (int, error) {
	l.writes++
	if !bytes.HasSuffix(p, []byte("\n")) {
		l.torn++
	}
	return len(p), nil
}

// TestBulkWholeLines: whenever a run is killed, its output ends with a whole line, so that the next run's can follow it.
func TestBulkWholeLines(t *testing.T) {
	names := filepath.Join(t.TempDir(), "names")
	var list strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&list, "h%d.test\n", i)
	}
	if err := os.WriteFile(names, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"--json=true", "--json=false"} {
		var out lineWatch
		var errs bytes.Buffer
		err := Run(t.Context(), []string{"probe", "--bulk", "--names", names, "--connect", "::127.0.0.1:1", "--target-rate", "0", "--concurrency", "8", form}, nil, nil, &out, &errs)
		if ExitCode(err) != 2 || out.writes < 2 || out.torn > 0 { // nobody is reached
			t.Errorf("%s: %v, %d writes, %d of them end within a line\n%s", form, err, out.writes, out.torn, errs.String())
		}
	}
}
