package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/message"
)

// respond is a fixed answer, to whatever method. Everything of it is made beforehand.
type respond struct {
	status  int
	fields  message.Fields
	length  string
	content []byte
}

func newRespond(in *config.Respond) *respond {
	a := &respond{status: in.Status, length: strconv.Itoa(len(in.Body)), content: []byte(in.Body)}
	for _, name := range slices.Sorted(maps.Keys(in.Header)) {
		for _, value := range in.Header[name] {
			a.fields = append(a.fields, message.Field{Name: strings.ToLower(name), Value: value})
		}
	}
	if !a.fields.Has("content-type") && in.Body != "" && !a.bare() {
		a.fields = append(a.fields, message.Field{Name: "content-type", Value: "text/plain; charset=utf-8"})
	}
	return a
}

// bare holds for answers that have no content (RFC 9110 sections 15.3.5 and 15.4.5).
func (a *respond) bare() bool {
	return a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// waits holds for content that a client with closed windows makes wait: what is answered in place has to be taken whole by every
// stream's buffer (internal/h2 keeps 4 KiB for each, however much the others hold).
func (a *respond) waits() bool { return len(a.content) > contentInPlace }

const contentInPlace = 4 << 10

func (a *respond) serve(x *exchange, _ *route) {
	x.ordinary = true
	f := append(x.answer(), a.fields...)
	if a.bare() {
		x.respond(a.status, f, true)
		return
	}
	x.whole(a.status, f, a.length, a.content)
}

// redirect sends clients elsewhere.
type redirect struct{ config.Redirect }

func (a *redirect) waits() bool { return false }

func (a *redirect) serve(x *exchange, _ *route) {
	x.ordinary = true
	x.whole(a.Status, append(x.answer(), message.Field{Name: "location", Value: a.To}), "0", nil)
}
