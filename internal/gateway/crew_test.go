package gateway

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type jobFunc func()

func (f jobFunc) run() { f() }

// hands counts the goroutines of a crew that are idle.
func (c *crew) hands() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		defer c.end()
		// at has n jobs done at the same time.
		at := func(n int) {
			t.Helper()
			var done atomic.Int32
			release := make(chan struct{})
			for range n {
				c.do(jobFunc(func() {
					<-release
					done.Add(1)
				}))
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
			if got := int(done.Load()); got != n {
				t.Fatalf("%d of %d jobs done", got, n)
			}
		}
		at(5)
		if n := c.hands(); n != 5 {
			t.Errorf("%d are kept, want 5", n)
		}
		at(3)
		if n := c.hands(); n != 5 {
			t.Errorf("%d are kept, want 5: nobody new was needed", n)
		}
		// Three are needed now and then, and stay.
		for range 5 {
			time.Sleep(crewRest / 2)
			at(3)
		}
		if n := c.hands(); n != 3 {
			t.Errorf("%d are kept, want 3", n)
		}
		time.Sleep(3 * crewRest)
		synctest.Wait()
		if n := c.hands(); n != 0 {
			t.Errorf("%d are kept, and nothing is to do", n)
		}
		at(2)
	})
}

// Behind the end everything is done all the same, and nobody stays.
func TestCrewEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		release := make(chan struct{})
		var done sync.WaitGroup
		done.Add(3)
		for range 2 {
			c.do(jobFunc(func() {
				<-release
				done.Done()
			}))
		}
		c.do(jobFunc(func() {}))
		synctest.Wait()
		c.end()
		close(release)
		c.do(jobFunc(done.Done))
		done.Wait()
		synctest.Wait()
		if n := c.hands(); n != 0 {
			t.Errorf("%d are kept", n)
		}
	}) // fails where a goroutine is left
}

// A timer that has gone off is not called back: the look that it begins may come behind the end, and behind the end of hands that were
// spare.
func TestCrewLooksBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		for range 3 {
			c.do(jobFunc(func() { time.Sleep(time.Millisecond) }))
		}
		// The first look finds them idle, and counts them as spare until somebody is needed.
		time.Sleep(crewRest + 2*time.Millisecond)
		synctest.Wait()
		if n := c.hands(); n != 3 {
			t.Fatalf("%d are kept, want 3", n)
		}
		c.end()
		c.dismiss()
		synctest.Wait()
		if n := c.hands(); n != 0 {
			t.Errorf("%d are kept", n)
		}
		time.Sleep(3 * crewRest) // and no further look was set
		synctest.Wait()
	})
}
