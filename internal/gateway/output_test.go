package gateway

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes are what a target was given, one string a write.
type writes struct {
	before func(p []byte) // nil: nothing

	mu     sync.Mutex
	list   []string
	closed bool
}

func (w *writes) Write(p []byte) (int, error) {
	if w.before != nil {
		w.before(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, os.ErrClosed
	}
	w.list = append(w.list, string(p))
	return len(p), nil
}

func (w *writes) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return nil
}

func (w *writes) want(t *testing.T, list ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.list, list) {
		t.Errorf("written %q, want %q", w.list, list)
	}
}

func TestAccessLinesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		var o output
		o.replace(&w, nil)
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		o.gather([]byte("a\n"), false)
		w.want(t, "a\n") // nobody waits after a pause
		o.gather([]byte("b\n"), false)
		pass(gatherTime - 1)
		o.gather([]byte("c\n"), false)
		w.want(t, "a\n")
		pass(1)
		w.want(t, "a\n", "b\nc\n")
		o.gather([]byte("d\n"), false) // no pause: it waits like the others
		w.want(t, "a\n", "b\nc\n")
		pass(gatherTime)
		w.want(t, "a\n", "b\nc\n", "d\n")
		pass(gatherTime)
		if o.open || o.timer.Stop() {
			t.Error("a timer runs although nothing is logged")
		}
		o.gather([]byte("e\n"), false)
		w.want(t, "a\n", "b\nc\n", "d\n", "e\n")
	})
}

func TestLogKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		var o output
		o.replace(&w, nil)
		for _, line := range []string{"a\n", "b\n", "c\n"} {
			o.gather([]byte(line), false)
		}
		if n, err := o.Write([]byte("message\n")); n != 8 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		o.gather([]byte("d\n"), false)
		o.gather([]byte("warning\n"), true)
		w.want(t, "a\n", "b\nc\n", "message\n", "d\nwarning\n")
	})
}

func TestFullBufferIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes
		var w writes
		var o output
		o.replace(&w, nil)
		line := []byte(strings.Repeat("x", gatherMax/4-1) + "\n")
		o.gather([]byte("first\n"), false)
		for range 4 {
			o.gather(line, false)
		}
		w.want(t, "first\n")
		o.gather([]byte("next\n"), false)
		w.want(t, "first\n", strings.Repeat(string(line), 4))
		long := strings.Repeat("y", 3*gatherMax)
		o.gather([]byte(long), false)
		w.want(t, "first\n", strings.Repeat(string(line), 4), "next\n")
		o.gather([]byte("last\n"), false)
		w.want(t, "first\n", strings.Repeat(string(line), 4), "next\n", long)
		if cap(o.spare) > 2*gatherMax {
			t.Errorf("a buffer of %d bytes is kept", cap(o.spare))
		}
		o.close()
		if last := w.list[len(w.list)-1]; last != "last\n" {
			t.Errorf("last write %q", last)
		}
	})
}

func TestReplacedOutputIsWrittenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old, now writes
		var o output
		o.gather([]byte("nowhere\n"), false)
		o.replace(&old, &old)
		o.gather([]byte("a\n"), false)
		o.gather([]byte("b\n"), false)
		o.replace(&now, &now)
		old.want(t, "a\n", "b\n")
		if !old.closed || now.closed {
			t.Errorf("old target closed: %v, new one: %v", old.closed, now.closed)
		}
		o.gather([]byte("c\n"), false) // seen at once in the new file
		now.want(t, "c\n")
		o.gather([]byte("d\n"), false)
		o.close()
		now.want(t, "c\n", "d\n")
		o.gather([]byte("late\n"), false)
		if n, err := o.Write([]byte("late\n")); n != 5 || err != nil {
			t.Errorf("Write after close: %d, %v", n, err)
		}
		now.want(t, "c\n", "d\n")
		if !now.closed {
			t.Error("the target is open after close")
		}
	})
}

// While the target takes its time, others log until the second buffer is full, and then they wait: nothing is dropped, and
// memory stays bounded.
func TestSlowTarget(t *testing.T) {
	const workers, lines = 8, 2 * gatherMax / 100
	var o output
	full := 0
	w := &writes{before: func(p []byte) {
		if len(p) > gatherMax {
			t.Errorf("a write of %d bytes", len(p))
		}
		// Turns for those who can go on: the first time until the buffer is full, and they have more than that to log.
		for turn := 0; turn < 200 || full == 0; turn++ {
			o.mu.Lock()
			fits := o.fits(100)
			o.mu.Unlock()
			if !fits {
				full++
				return
			}
			runtime.Gosched()
		}
	}}
	o.replace(w, nil)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for n := range lines {
				o.gather(fmt.Appendf(nil, "%d %097d\n", i, n), false)
			}
		})
	}
	group.Wait()
	o.close()
	if full == 0 {
		t.Error("nobody had to wait: the test shows nothing")
	}
	next := make([]int, workers)
	for line := range strings.Lines(strings.Join(w.list, "")) {
		wantNext(t, next, line)
	}
	for i, n := range next {
		if n != lines {
			t.Errorf("worker %d: %d lines, want %d", i, n, lines)
		}
	}
}

// wantNext takes a line that begins with the number of a worker and how many lines that has logged before.
func wantNext(t *testing.T, next []int, line string) {
	t.Helper()
	var worker, n int
	if _, err := fmt.Sscanf(line, "%d %d", &worker, &n); err != nil || !strings.HasSuffix(line, "\n") {
		t.Fatalf("line %q: %v", line, err)
	}
	if n != next[worker] {
		t.Fatalf("worker %d: line %d, want %d", worker, n, next[worker])
	}
	next[worker]++
}

func TestSlowTargetHoldsUpOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the time for gathering does not pass before "b" is logged
		var o output
		stuck, release := make(chan struct{}), make(chan struct{})
		w := &writes{}
		w.before = func(p []byte) {
			if string(p) == "b\n" {
				close(stuck)
				<-release
			}
		}
		o.replace(w, nil)
		o.gather([]byte("a\n"), false)
		o.gather([]byte("b\n"), false)
		wait(t, "the tick", stuck)
		o.gather([]byte("c\n"), false) // does not wait
		o.mu.Lock()
		if o.timer.Stop() {
			t.Error("the timer runs again while the target stands still")
		}
		o.mu.Unlock()
		close(release)
		o.close()
		w.want(t, "a\n", "b\n", "c\n")
	})
}

func TestPanicOfTheTarget(t *testing.T) {
	w := &writes{}
	w.before = func(p []byte) {
		if string(p) == "bad\n" {
			panic("target")
		}
	}
	var o output
	o.replace(w, nil)
	for _, log := range []func(){
		func() { o.gather([]byte("bad\n"), true) },
		func() { o.Write([]byte("bad\n")) },
	} {
		func() {
			defer func() { recover() }()
			log()
			t.Error("no panic")
		}()
	}
	o.gather([]byte("good\n"), false)
	o.close()
	w.want(t, "good\n")
}

// Many goroutines, both kinds of lines, and reloads: every line is written once, those of one goroutine in their order.
func TestOutputConcurrently(t *testing.T) {
	const workers, lines, reloads = 8, 2000, 20
	dir := t.TempDir()
	open := func(i int) *os.File {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%03d.log", i)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var o output
	f := open(0)
	o.replace(f, f)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range lines {
				line := fmt.Appendf(nil, "%d %d %s\n", w, i, strings.Repeat("x", i%300))
				switch {
				case i%97 == 0:
					o.Write(line)
				default:
					o.gather(line, i%89 == 0)
				}
			}
		})
	}
	for i := range reloads {
		f := open(i + 1)
		o.replace(f, f)
	}
	group.Wait()
	o.close()
	next := make([]int, workers)
	for i := range reloads + 1 {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%03d.log", i)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			wantNext(t, next, line)
		}
	}
	for w, n := range next {
		if n != lines {
			t.Errorf("worker %d: %d lines, want %d", w, n, lines)
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	line := []byte(strings.Repeat("x", 399) + "\n")
	file := func(b *testing.B) io.Writer {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	b.Run("gathered", func(b *testing.B) {
		var o output
		o.replace(file(b), nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				o.gather(line, false)
			}
		})
		o.close()
	})
	b.Run("each", func(b *testing.B) {
		var o output
		o.replace(file(b), nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				o.Write(line)
			}
		})
	})
}
