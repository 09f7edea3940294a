package browsers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a browser may take from its start to the page's report. Nothing takes that long when all is well.
const patience = 100 * time.Second

// visit opens the page in a new browser without a past, waits for what it reports, and ends the browser. A browser that
// ends before it has asked for the page gets a second chance.
func (b browser) visit(t testing.TB, m memory, port string, p *page) []string {
	t.Helper()
	address := "https://www" + zone + ":" + port + pagePath
	for range 2 {
		if saw, opened := b.attempt(t, m, address, p); opened {
			return saw
		}
	}
	t.Fatalf("%s ended twice before it asked for the page", b.name)
	return nil
}

func (b browser) attempt(t testing.TB, m memory, address string, p *page) (saw []string, opened bool) {
	t.Helper()
	home := b.newHome(t, m)
	diary, err := os.Create(filepath.Join(home, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer diary.Close()
	cmd := exec.Command(b.program(t), append(b.prepare(t, home, m.quic), address)...)
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
