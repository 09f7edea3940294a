package gateway

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errFull = errors.New("no space left on device")

// A disk has room for so many bytes.
type disk struct {
	room int
	data []byte
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.data = append(d.data, p[:n]...)
	if d.room -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}

type sum float64

func (s *sum) Add(n float64) { *s += sum(n) }

func TestLogOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		var stderr bytes.Buffer
		d := &disk{room: 8}
		var lost sum
		o := output{outage: &outage{stderr: &stderr, total: &lost}}
		o.replace(d, nil)
		o.Write([]byte("one\n"))
		o.Write([]byte("it breaks off\n"))
		o.Write([]byte("lost\n"))
		o.gather([]byte("gathered\n"), true)
		told := stderr.String()
		if strings.Count(told, "cannot be written: no space left on device") != 1 || !strings.Contains(told, "hint: ") {
			t.Errorf("told %q, want once that it cannot be written", told)
		}
		d.room = 2
		o.Write([]byte("two\n")) // the end of the line fits, and one byte more
		d.room = 100
		o.Write([]byte("three\n"))
		o.Write([]byte("four\n"))
		if have, want := string(d.data), "one\nit b\nt\nthree\nfour\n"; have != want {
			t.Errorf("the file has %q, want %q", have, want)
		}
		if lost != 4 {
			t.Errorf("%v lines are counted as lost, want 4", lost)
		}
		if told := stderr.String(); !strings.HasSuffix(told, "usher: the log is written again; lines that are lost: 4\n") {
			t.Errorf("told %q", told)
		}

		// A disk that has room now and then does not fill another one with complaints.
		stderr.Reset()
		for range 10 {
			d.room = 0
			o.Write([]byte("lost\n"))
			d.room = 100
			o.Write([]byte("five\n"))
		}
		if stderr.Len() > 0 {
			t.Errorf("told %q within a minute", stderr.String())
		}
		time.Sleep(outagePause)
		d.room = 0
		o.Write([]byte("lost\n"))
		d.room = 100
		o.Write([]byte("six\n"))
		if told := stderr.String(); !strings.Contains(told, "cannot be written") || !strings.HasSuffix(told, "lost: 11\n") {
			t.Errorf("told %q after a minute, want that 11 lines are lost", told)
		}
	})
}

func TestReloadAfterALineThatBrokeOff(t *testing.T) {
	var o output
	d := &disk{room: 3}
	o.replace(d, nil)
	o.Write([]byte("breaks off\n"))
	d.room = 100
	o.replace(d, nil) // the same file again
	o.Write([]byte("next\n"))
	if have, want := string(d.data), "bre\nnext\n"; have != want {
		t.Errorf("the file has %q, want %q", have, want)
	}
}

// The gateway serves on, and the operator hears of it.
func TestLogThatCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full: ", err)
	}
	f := newFolder(t)
	told := newLogLines()
	g, err := Start(t.Context(), f.load(t, basic+"log: {output: /dev/full}\n"), Options{Stderr: told})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{g, f, told}
	r.client(t, "h1", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "site a")
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := told.text(); !strings.Contains(text, "usher: the log cannot be written: write /dev/full: no space left on device") {
		t.Errorf("told %q", text)
	}
	if n := r.metric(t, "usher_log_lines_lost_total"); n < 2 {
		t.Errorf("%v lines are counted as lost, want that of the request and that of the end", n)
	}
}
