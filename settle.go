package usher

import (
	"io"
	"net/http"
	"time"
)

const (
	settleBytes = 64 << 10
	settleTime  = time.Second
)

// Settle takes in what is still under way of a small request body after the answer is out. Over HTTP/2 a handler that returns
// before has its stream reset. RFC 9113 section 8.1 lets servers do that (RST_STREAM with NO_ERROR) and says that clients must
// not discard the response for it; some do all the same, and would not come back on another connection. net/http does this by
// itself for HTTP/1.1, and over HTTP/3 the two directions of a stream end apart. It waits for a second at the most. Refuse
// calls it; a handler that answers without reading the body may do the same as its last act.
func Settle(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 || r.Body == nil || r.ContentLength == 0 || r.ContentLength > settleBytes {
		return
	}
	control := http.NewResponseController(w)
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(settleTime)) != nil {
		return
	}
	io.CopyN(io.Discard, r.Body, settleBytes)
}
