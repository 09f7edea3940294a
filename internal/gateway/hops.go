package gateway

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// via is what a gateway says of itself in the requests that it passes on (RFC 9110 section 7.6.3: "An HTTP-to-HTTP gateway MUST send an
// appropriate Via header field in each inbound request message").
func via(r *message.Request) message.Field {
	value := "1.1 usher"
	switch {
	case r.Major == 2:
		value = "2.0 usher"
	case r.Major == 3:
		value = "3.0 usher"
	case r.Minor == 0:
		value = "1.0 usher"
	}
	return message.Field{Name: "via", Value: value}
}

// lastHop reports whether the request is not to be passed on, and counts the hop otherwise (RFC 9110 section 7.6.2: "Each intermediary that
// receives a TRACE or OPTIONS request containing a Max-Forwards header field MUST check and update its value prior to forwarding the
// request"). What is no number is nobody's limit.
func lastHop(r *message.Request) bool {
	if r.Method != http.MethodOptions && r.Method != http.MethodTrace {
		return false
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Name != "max-forwards" || f.Value == "" || strings.Trim(f.Value, "0123456789") != "" {
			continue
		}
		n, err := strconv.ParseUint(f.Value, 10, 31)
		if err != nil {
			n = math.MaxInt32
		}
		if n == 0 {
			return true
		}
		f.Value = strconv.FormatUint(n-1, 10)
	}
	return false
}

// answerAsLast answers a request that came to its last hop here.
func (x *exchange) answerAsLast() {
	if x.request.Method == http.MethodTrace {
		x.fail(http.StatusNotImplemented) // what was sent, cookies among it, is not sent back
		return
	}
	x.whole(http.StatusOK, x.answer(), "0", nil)
}
