package soak

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// A record is what client and upstream know of one exchange. The flags are set before what they announce can be noticed.
type record struct {
	*spec
	session  string      // how to have it again
	gone     atomic.Bool // the client gives the exchange up
	sent     atomic.Bool // the client sends the end of its content
	answered atomic.Bool // the upstream sends the end of its answer
	attempts atomic.Int32
	ended    atomic.Int64 // when the client was done with it, in Unix nanoseconds; 0: it is not
}

// seen is what one side saw of what the other has sent.
type seen struct {
	status   int  // 0: no header section came
	own      bool // an answer of the gateway itself
	bytes    int64
	complete bool
	err      error  // why it is not complete
	wrong    string // what was not as it must be, whatever else
	informs  int
	trailers string // what came in the trailer field; empty: nothing
	last     bool   // the connection cannot carry another exchange
}

// trailerOf is the value of the trailer field of a message of this exchange.
func (r *record) trailerOf(which int) string { return fmt.Sprintf("%016x-%d", r.id, which) }

const (
	idField      = "X-Soak-Id"
	trailerField = "X-Soak-Trailer"
)

func (r *record) idText() string { return fmt.Sprintf("%016x", r.id) }

// fieldsWrong compares the fields that came with those that were sent.
func fieldsWrong(sent []field, got http.Header) string {
	for _, f := range sent {
		if v := got[f.name]; len(v) != 1 || v[0] != f.value {
			return fmt.Sprintf("the field %s is %.100q, and not %.100q", f.name, v, f.value)
		}
	}
	n := 0
	for name := range got {
		if strings.HasPrefix(name, "X-Soak-") && name != idField && name != trailerField {
			n++
		}
	}
	if n != len(sent) {
		return fmt.Sprintf("%d fields, and not %d", n, len(sent))
	}
	return ""
}

// judgeRequest says what is wrong with what the upstream saw of a request; empty: nothing.
func (r *record) judgeRequest(got seen) string {
	switch {
	case got.wrong != "":
		return got.wrong
	case got.complete && !r.sent.Load():
		return fmt.Sprintf("complete after %d bytes, but the client has not sent its end", got.bytes)
	case got.complete && got.bytes != r.size:
		return fmt.Sprintf("complete with %d bytes, and not %d", got.bytes, r.size)
	case got.complete && (r.trailers && got.trailers == "" || got.trailers != "" && (!r.trailers || got.trailers != r.trailerOf(ofRequest))):
		return fmt.Sprintf("the trailer field is %q", got.trailers)
	case got.complete || r.gone.Load() || r.clientCut == inContent || r.serverCut != whole || r.order != afterContent:
		return ""
	}
	return fmt.Sprintf("broken after %d bytes, but nobody has broken it: %v", got.bytes, got.err)
}

// judgeAnswer says what is wrong with what the client saw of an answer; empty: nothing.
func (r *record) judgeAnswer(got seen) string {
	switch {
	case got.wrong != "":
		return got.wrong
	case r.gone.Load():
		return "" // whatever came was right as far as it came
	case r.clientCut == inContent:
		return fmt.Sprintf("the client has ended without breaking off: %+v", got)
	case got.own:
		return r.judgeOwn(got)
	case !got.complete:
		if r.serverCut == whole {
			return fmt.Sprintf("broken (status %d, %d bytes), but nobody has broken it: %v", got.status, got.bytes, got.err)
		}
		return ""
	case r.serverCut != whole || !r.answered.Load():
		return fmt.Sprintf("complete after %d bytes, but the upstream has not sent its end", got.bytes)
	case got.status != r.status:
		return fmt.Sprintf("status %d, and not %d", got.status, r.status)
	case got.bytes != r.due():
		return fmt.Sprintf("complete with %d bytes, and not %d", got.bytes, r.due())
	case got.informs != r.informs:
		return fmt.Sprintf("%d interim answers, and not %d", got.informs, r.informs)
	case r.answerTrailers && got.trailers != r.trailerOf(ofAnswer) || !r.answerTrailers && got.trailers != "":
		return fmt.Sprintf("the trailer field is %q", got.trailers)
	}
	return ""
}

// judgeOwn: the gateway answers itself where the upstream has not answered, and with nothing but 502.
func (r *record) judgeOwn(got seen) string {
	if r.serverCut != whole && got.status == http.StatusBadGateway {
		return ""
	}
	return fmt.Sprintf("the gateway answers %d itself", got.status)
}

// late says that an upstream has not noticed in time that its client is gone.
func (r *record) late(now time.Time, bound time.Duration) bool {
	ended := r.ended.Load()
	return ended != 0 && now.Sub(time.Unix(0, ended)) > bound
}
