package wire

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-http/usher/originframe"
)

// The control stream of HTTP/3 is read beside the answer: a frame that came with its beginning counts, though the goroutine that reads it may
// be late, and a server without one is not waited for without end.
func TestOriginsBesideTheAnswer(t *testing.T) {
	for _, late := range []time.Duration{0, controlPatience / 2, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := &Conn{h3: newH3(nil)}
			done := make(chan struct{})
			go func() {
				defer close(done)
				time.Sleep(late)
				c.h3.control(originframe.Type, []byte("payload"))
				c.h3.begun()
				c.h3.begun() // a second control stream is a server's mistake and no reason to crash
			}()
			began := time.Now()
			payloads, _ := c.Origins()
			if in := late <= controlPatience; in != (len(payloads) == 1) || time.Since(began) != min(late, controlPatience) {
				t.Errorf("%v late: %q after %v", late, payloads, time.Since(began))
			}
			<-done
		})
	}
}
