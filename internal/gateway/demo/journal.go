package demo

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// An Entry is a line of the gateway's access log, as far as the demo looks at it.
type Entry struct {
	Message   string `json:"msg"`
	Status    int    `json:"status"`
	Reason    string `json:"reason"`
	Protocol  string `json:"proto"`
	SNI       string `json:"sni"`
	Method    string `json:"method"`
	Authority string `json:"authority"`
	Path      string `json:"path"`
}

// A journal takes the gateway's log, one line a write, and hands on the requests in it.
type journal struct {
	mu     sync.Mutex
	lines  chan Entry
	follow func(Entry)
}

func newJournal() *journal { return &journal{lines: make(chan Entry, 64)} }

func (j *journal) Write(p []byte) (int, error) {
	var e Entry
	if json.Unmarshal(p, &e) != nil || e.Message != "request" {
		return len(p), nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.follow != nil {
		j.follow(e)
		return len(p), nil
	}
	select {
	case j.lines <- e:
	default: // nobody reads
	}
	return len(p), nil
}

// forget drops what was not read.
func (j *journal) forget() {
	for {
		select {
		case <-j.lines:
		default:
			return
		}
	}
}

// next waits for the next request.
func (j *journal) next(ctx context.Context) (Entry, error) {
	select {
	case e := <-j.lines:
		return e, nil
	case <-ctx.Done():
		return Entry{}, errors.New("the gateway did not log the request")
	}
}

// Follow has f called for every request from now on, one at a time.
func (d *Demo) Follow(f func(Entry)) {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	d.log.follow = f
}
