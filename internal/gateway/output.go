package gateway

import (
	"io"
	"sync"
	"time"
)

// How long a line of the access log waits for others, and how much is written at once.
const (
	gatherTime = 10 * time.Millisecond
	gatherMax  = 64 << 10
)

// An output is where the log goes. Its target can be replaced while others write, so that a reload opens a log file
// anew (after a rotation, say) and no line is lost.
//
// Lines of the access log are gathered, since a write of its own for each would cost more than all else that is done for
// a small request. A line after a pause is written at once, and begins a time of gatherTime at whose end what has come in
// the meantime is written; with gatherMax bytes it is written sooner. Every other line is written at once, behind
// those that were gathered before it, so the log has the order of the events. What is gathered is kept in memory for
// gatherTime at most, unless the target is slow, and is lost only with the process.
//
// A target that is slow, or stands still, holds up those who log: no line is dropped, and two buffers of gatherMax are all
// that is kept in memory (each may be as long as its first line). What a target refuses (its disk is full, say) is lost, and
// told to the outage: nobody waits for it. The zero value has no target; it is ready for use and writes nowhere.
type output struct {
	outage *outage // set before use; nil: nobody is told

	writing sync.Mutex // held while the target is written to; taken before mu, never while mu is held
	target  io.Writer  // nil: nowhere
	closer  io.Closer
	torn    bool   // the target ends within a line
	spare   []byte // the buffer that is not gathered into

	mu       sync.Mutex
	gathered []byte
	open     bool        // the time for gathering runs, and ends with a call of tick
	timer    *time.Timer // nil until it is needed for the first time
}

// Write writes p, behind what was gathered before it.
func (o *output) Write(p []byte) (int, error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.writeOut()
	return o.put(p)
}

var newline = []byte{'\n'}

// put writes to the target. A line that broke off stays one line: the next one does not go on in it. writing is held.
func (o *output) put(p []byte) (int, error) {
	if o.target == nil {
		return len(p), nil
	}
	if err := o.mend(); err != nil {
		o.outage.failed(p, err)
		return 0, err
	}
	n, err := o.target.Write(p)
	if err != nil {
		o.torn = n > 0 && p[n-1] != '\n'
		o.outage.failed(p[n:], err)
		return n, err
	}
	o.outage.over()
	return n, nil
}

// mend ends a line that broke off. writing is held.
func (o *output) mend() error {
	if !o.torn {
		return nil
	}
	_, err := o.target.Write(newline)
	o.torn = err != nil
	return err
}

// gather takes a line that may wait a little for others; one that must be seen at once may not. The line is copied.
func (o *output) gather(line []byte, atOnce bool) {
	o.mu.Lock()
	for !o.fits(len(line)) {
		o.mu.Unlock()
		o.makeRoom(len(line))
		o.mu.Lock()
	}
	o.gathered = append(o.gathered, line...)
	if !o.open {
		o.open, atOnce = true, true
		o.startTimer()
	}
	o.mu.Unlock()
	if atOnce {
		o.flush()
	}
}

// flush returns when everything is written that was gathered before. It reports whether there was something.
func (o *output) flush() bool { return o.makeRoom(gatherMax) }

// fits reports whether n bytes more may be gathered. An empty buffer takes whatever comes. mu is held.
func (o *output) fits(n int) bool { return len(o.gathered) == 0 || len(o.gathered)+n <= gatherMax }

// makeRoom writes what is gathered, unless n bytes more fit: somebody else has written by then. It reports whether it
// wrote.
func (o *output) makeRoom(n int) bool {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	fits := o.fits(n)
	o.mu.Unlock()
	if !fits {
		o.writeOut()
	}
	return !fits
}

// writeOut writes what is gathered, while others may gather in the other buffer. writing is held.
func (o *output) writeOut() {
	o.mu.Lock()
	lines := o.gathered
	o.gathered = o.spare[:0]
	o.mu.Unlock()
	o.spare = lines
	if cap(lines) > 2*gatherMax {
		o.spare = nil // a line of extraordinary length was in it
	}
	if len(lines) > 0 {
		o.put(lines)
	}
}

// startTimer has tick called after gatherTime. mu is held.
func (o *output) startTimer() {
	if o.timer == nil {
		o.timer = time.AfterFunc(gatherTime, o.tick)
		return
	}
	o.timer.Reset(gatherTime)
}

// tick ends the time for gathering. If lines came another one begins, but only when they are written: a target that
// stands still holds up one tick, not one every 10 ms.
func (o *output) tick() {
	wrote := o.flush()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open = wrote || len(o.gathered) > 0; o.open {
		o.startTimer()
	}
}

// replace writes what is gathered to the old target before it is closed.
func (o *output) replace(w io.Writer, c io.Closer) {
	if old := o.swap(w, c); old != nil {
		old.Close()
	}
}

func (o *output) swap(w io.Writer, c io.Closer) (old io.Closer) {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.writeOut()
	o.mend() // the next target may be the same file
	old = o.closer
	o.target, o.closer, o.torn = w, c, false
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil && o.timer.Stop() {
		o.open = false // the first line for the new target need not wait
	}
	return old
}

// close has everything written that was logged before. What is logged later is lost.
func (o *output) close() { o.replace(nil, nil) }
