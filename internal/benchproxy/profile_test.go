//go:build linux

package benchproxy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// profiles records where each usher's processor time goes during each work, with perf, and writes one report a work into the
// folder of -out: symbols by their own time, and with all that they call.
func (b *bench) profiles(t *testing.T, who []contender, what []work) {
	t.Helper()
	if *outFlag == "" {
		t.Fatal("-profile needs -out, a folder for the reports")
	}
	if err := os.MkdirAll(*outFlag, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, w := range what {
		for _, c := range who {
			if c.kind != "usher" {
				continue
			}
			path, err := b.profile(t, c, w)
			if err != nil {
				t.Errorf("%s, %s: %v", w.name, c.name, err)
				continue
			}
			fmt.Printf("%s, %s: %s\n", w.name, c.name, path)
		}
	}
}

func (b *bench) profile(t *testing.T, c contender, w work) (string, error) {
	t.Helper()
	p, err := c.start(t, b.certs, b.upstream.addr)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(p.dir)
	defer p.stop()
	n, err := b.warmUp(t, p, w)
	if err != nil {
		return "", err
	}
	data := filepath.Join(b.dir, "perf.data")
	perf := lookPath(t, "perf")
	record := exec.Command(perf, "record", "-q", "-F", "1999", "-g", "-p", strconv.Itoa(p.tree[0]), "-o", data)
	if err := record.Start(); err != nil {
		return "", err
	}
	_, err = b.under(t, p, w, n)
	record.Process.Signal(os.Interrupt)
	record.Wait() // perf ends with the signal that it was sent
	if err != nil {
		return "", err
	}
	path := filepath.Join(*outFlag, fmt.Sprintf("profile-%s-%s.txt", w.name, c.name))
	out, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer out.Close()
	for _, more := range [][]string{{"--no-children"}, {"--children"}} {
		report := exec.Command(perf, append([]string{"report", "--stdio", "-g", "none", "--percent-limit", "0.4", "-i", data}, more...)...)
		report.Stdout = out
		if err := report.Run(); err != nil {
			return "", fmt.Errorf("perf report: %w", err)
		}
	}
	return path, nil
}
