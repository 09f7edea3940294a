package browsers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

// patience is how long a browser may take from its start to the page's report. Nothing takes that long when all is well.
const patience = 40 * time.Second

// visit opens the page in a new browser without a past, waits for what it reports, and ends the browser. A browser that
// ends before it has asked for the page gets a second chance.
func (b browser) visit(t testing.TB, ca *testca.CA, address string, p *page, quic []string) []string {
	t.Helper()
	for range 2 {
		if saw, opened := b.attempt(t, ca, address, p, quic); opened {
			return saw
		}
	}
	t.Fatalf("%s ended twice before it asked for the page", b.name)
	return nil
}

func (b browser) attempt(t testing.TB, ca *testca.CA, address string, p *page, quic []string) (saw []string, opened bool) {
	t.Helper()
	home := b.newHome(t, ca)
	diary, err := os.Create(filepath.Join(home, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer diary.Close()
	cmd := exec.Command(b.program(t), append(b.prepare(t, home, quic), address)...)
	cmd.Env = environment(home)
	cmd.Dir = home
	cmd.Stdout, cmd.Stderr = diary, diary
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	defer func() {
		killGroup(cmd)
		<-exited
	}()
	ended := exited
	for deadline := time.After(patience); ; {
		select {
		case saw = <-p.reports:
			return saw, true
		case <-ended:
			if !p.opened.Load() {
				t.Logf("%s ended at once: %s\n%s", b.name, cmd.ProcessState, output(diary))
				return nil, false
			}
			ended = nil // the program may be a script that leaves the browser behind
		case <-deadline:
			t.Fatalf("%s: no report within %v (page opened: %v)\n%s", b.name, patience, p.opened.Load(), output(diary))
		}
	}
}

func output(f *os.File) string {
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
