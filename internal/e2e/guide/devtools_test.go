package guide

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
)

// patience is how long the browser may take for one thing. Nothing takes that long when all is well.
const patience = 100 * time.Second

// A browser is a Chromium that hears commands of the DevTools protocol: JSON objects with a zero byte behind each, on its
// file descriptors 3 and 4.
type browser struct {
	t   testing.TB
	out *os.File

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	pages   map[string]*page // by session
	closed  bool
}

// An answer is what comes back for a command; an event has a method in place of the number.
type answer struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// newBrowser starts a browser without a past. It ends with the test.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	program := testenv.Browser(t, "chromium", "chromium-browser", "google-chrome")
	home := newHome(t)
	commands, out := pipe(t)
	in, replies := pipe(t)
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad", "--disable-extensions",
		"--disable-default-apps", "--password-store=basic", "--hide-scrollbars", "--allow-pre-commit-input", "--force-color-profile=srgb", "--font-render-hinting=none",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "data"), "about:blank")
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "LANG=C.UTF-8"}
	cmd.Dir = home
	cmd.ExtraFiles = []*os.File{commands, replies}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	commands.Close()
	replies.Close()
	b := &browser{t: t, out: out, waiting: map[int]chan answer{}, pages: map[string]*page{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(in)
	}()
	t.Cleanup(func() {
		killGroup(cmd)
		cmd.Wait()
		out.Close()
		in.Close()
		<-done
	})
	return b
}

// newHome makes a folder that survives the last writes of a browser that is being killed.
func newHome(t testing.TB) string {
	t.Helper()
	home, err := os.MkdirTemp("", "usher-guide-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s could not be removed", home)
	})
	return home
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// read hands on what the browser says, until it says no more.
func (b *browser) read(in *os.File) {
	r := bufio.NewReader(in)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.closed = true
			for _, c := range b.waiting {
				close(c)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		var a answer
		if json.Unmarshal(text[:len(text)-1], &a) != nil {
			continue
		}
		b.mu.Lock()
		c, p := b.waiting[a.ID], b.pages[a.Session]
		delete(b.waiting, a.ID)
		b.mu.Unlock()
		switch {
		case a.ID != 0 && c != nil:
			c <- a
		case a.Method != "" && p != nil:
			p.event(a)
		}
	}
}

// call sends a command to a session (empty: the browser as a whole) and reads its result into result, if that is not nil.
func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	c := make(chan answer, 1)
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.t.Fatalf("%s: the browser is gone", method)
	}
	b.last++
	id := b.last
	b.waiting[id] = c
	b.mu.Unlock()
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case a, ok := <-c:
		if !ok {
			b.t.Fatalf("%s: the browser has ended", method)
		}
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatalf("%s: %v: %s", method, err, a.Result)
			}
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer within %v", method, patience)
	}
}

// newPage opens a tab that looks as the view says.
func (b *browser) newPage(v view) *page {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &page{browser: b, target: target.TargetID, session: session.SessionID, loaded: make(chan string, 64)}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", nil, nil)
	}
	p.call("Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}, nil)
	p.call("Network.setCacheDisabled", map[string]any{"cacheDisabled": true}, nil)
	p.look(v)
	return p
}

// close closes the tab.
func (p *page) close() {
	p.browser.call("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil)
}

func (v view) String() string {
	return fmt.Sprintf("%d wide, dark %v, script %v", v.width, v.dark, !v.noScript)
}
