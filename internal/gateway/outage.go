package gateway

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// outagePause is the least time between two outages that are told: a disk that is almost full fails often.
const outagePause = time.Minute

// An outage counts the lines that the log's target did not take, and tells the operator where the log cannot: that it
// fails and, when it works again, how many lines are lost. nil does nothing. Calls come one at a time.
type outage struct {
	stderr io.Writer
	total  interface{ Add(float64) } // all lines that were lost

	lines int       // lost since the last outage that was told of to its end
	told  time.Time // when an outage was last told
	open  bool      // one was told, and not yet that it is over
}

// failed is told what was not written. The line that broke off counts.
func (a *outage) failed(rest []byte, err error) {
	if a == nil {
		return
	}
	lines := max(bytes.Count(rest, newline), 1)
	a.lines += lines
	a.total.Add(float64(lines))
	if now := time.Now(); !a.open && now.Sub(a.told) >= outagePause {
		a.open, a.told = true, now
		fmt.Fprintf(a.stderr, "usher: the log cannot be written: %s\n    hint: what is logged until it can is lost, and counted in usher_log_lines_lost_total\n", err)
	}
}

// over is told that everything was written.
func (a *outage) over() {
	if a == nil || !a.open {
		return
	}
	fmt.Fprintf(a.stderr, "usher: the log is written again; lines that are lost: %d\n", a.lines)
	a.open, a.lines = false, 0
}
