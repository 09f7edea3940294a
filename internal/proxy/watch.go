package proxy

import (
	"sync"
	"time"
)

// epoch is what instants count from: the monotonic clock alone, as one word. They may be negative (in testing/synctest); 0 is none.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// A watch ends an exchange from outside: when a limit of time has passed, or when it is cancelled. Its timer is not set anew for
// every wait: it rings at the earliest instant that was asked for, and then looks whether that still counts. So a limit costs a
// lock and a look at the clock.
type watch struct {
	stop func() // unblocks who waits for the connection; called once, with mu held

	mu       sync.Mutex
	timer    *time.Timer
	rings    time.Duration // when the timer rings; 0: it does not
	at       time.Duration // the limit of what is waited for now; 0: none
	late     error         // what passing it means
	whole    time.Duration // the limit of everything; 0: none
	awaiting bool          // the header section of the answer has not come yet
	cause    error         // why it was stopped; nil: it was not
}

// begin starts an exchange. whole is an instant.
func (w *watch) begin(whole time.Duration) {
	w.mu.Lock()
	w.whole, w.awaiting, w.cause = whole, true, nil
	w.mu.Unlock()
	w.limit(0, nil)
}

// end is the end of an exchange: nothing stops it any more. It says what did.
func (w *watch) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.whole = 0, 0
	return w.cause
}

// limit says that what follows has to end within d, and otherwise ends with late. 0: no limit but the whole one.
func (w *watch) limit(d time.Duration, late error) {
	w.mu.Lock()
	w.set(d, late)
	w.mu.Unlock()
}

// sending is limit for whoever sends the request: it counts until the header section of the answer has come.
func (w *watch) sending(d time.Duration) {
	w.mu.Lock()
	if w.awaiting {
		w.set(d, ErrFirstByte)
	}
	w.mu.Unlock()
}

// answered says that the header section of the answer has come.
func (w *watch) answered() {
	w.mu.Lock()
	w.awaiting = false
	w.set(0, nil)
	w.mu.Unlock()
}

func (w *watch) set(d time.Duration, late error) {
	if d == 0 && w.whole == 0 {
		w.at = 0
		return
	}
	n := now()
	w.at, w.late = w.whole, ErrWhole
	if d != 0 && (w.at == 0 || n+d < w.at) {
		w.at, w.late = n+d, late
	}
	w.arm(n)
}

func (w *watch) arm(n time.Duration) {
	if w.rings != 0 && w.rings <= w.at {
		return
	}
	w.rings = w.at
	if w.timer == nil {
		w.timer = time.AfterFunc(w.at-n, w.ring)
	} else {
		w.timer.Reset(w.at - n)
	}
}

func (w *watch) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings = 0
	if w.at == 0 || w.cause != nil {
		return
	}
	if n := now(); n < w.at {
		w.arm(n)
		return
	}
	w.halt(w.late)
}

// abort ends what is under way; the first cause counts.
func (w *watch) abort(cause error) {
	w.mu.Lock()
	w.halt(cause)
	w.mu.Unlock()
}

func (w *watch) halt(cause error) {
	if w.cause == nil {
		w.cause = cause
		w.stop()
	}
}

func (w *watch) why() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

// forget lets go of the timer: nothing will be watched again.
func (w *watch) forget() {
	w.mu.Lock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.at, w.rings = 0, 0
	w.mu.Unlock()
}
