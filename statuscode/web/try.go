package web

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/usher-http/usher/statuscode"
)

// try answers with a status, to any method, as the guide says that a server should: with the fields that belong to it.
func (g *guide) try(w http.ResponseWriter, r *http.Request, path string) {
	c, err := statuscode.Find(path)
	if err != nil {
		problem(w, r, statusOf(err), err.Error()+".")
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if c.Number == http.StatusSwitchingProtocols {
		problem(w, r, http.StatusNotImplemented, "101 ends HTTP on this connection, and no protocol is spoken here that could follow.")
		return
	}
	if !c.Final() {
		g.tryInterim(w, r, c)
		return
	}
	for _, f := range fieldsOf[c.Number] {
		h.Add(f.name, f.value)
	}
	if l, ok := locations[c.Number]; ok {
		h.Set("Location", g.base+"/"+l)
	}
	if c.Number == http.StatusRequestTimeout {
		h.Set("Connection", "close")
	}
	switch {
	case c.Number == http.StatusPartialContent:
		g.tryPart(w, r, c)
	case !c.Content():
		if c.Number == http.StatusResetContent {
			h.Set("Content-Length", "0") // of 205 no parser knows that nothing follows
		}
		w.WriteHeader(c.Number)
	default:
		tell(w, r, c, c.Number)
	}
}

// tryInterim sends the code, and then 200. Clients of HTTP/1.0 know no interim responses.
func (g *guide) tryInterim(w http.ResponseWriter, r *http.Request, c *statuscode.Code) {
	if r.ProtoAtLeast(1, 1) {
		fields := fieldsOf[c.Number]
		for _, f := range fields {
			w.Header().Add(f.name, f.value)
		}
		w.WriteHeader(c.Number)
		for _, f := range fields {
			w.Header().Del(f.name)
		}
	}
	tell(w, r, c, http.StatusOK)
}

// tryPart sends the first half of its text, whatever part was asked for.
func (g *guide) tryPart(w http.ResponseWriter, r *http.Request, c *statuscode.Code) {
	text := story(c)
	half := len(text) / 2
	w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", half-1, len(text)))
	plain(w, r, c.Number, text[:half])
}

// tell answers with the story of a code.
func tell(w http.ResponseWriter, r *http.Request, c *statuscode.Code, status int) {
	plain(w, r, status, story(c))
}

func plain(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprint(w, text)
	}
}

func story(c *statuscode.Code) string {
	return fmt.Sprintf("%d %s\n%s\nFor clients: retry: %s\n", c.Number, c.Name, statuscode.Plain(c.Summary), c.Client.Retry)
}

type fieldLine struct{ name, value string }

// fieldsOf are the fields without which a status is not complete.
var fieldsOf = map[int][]fieldLine{
	103: {{"Link", "<../style.css>; rel=preload; as=style"}},
	226: {{"IM", "feed"}},
	300: {{"Link", `<../200>; rel="alternate"`}, {"Link", `<../300>; rel="alternate"`}},
	304: {{"ETag", `"usher"`}},
	401: {{"WWW-Authenticate", `Usher realm="guide"`}}, // no scheme that has browsers ask for a password
	405: {{"Allow", ""}},
	407: {{"Proxy-Authenticate", `Usher realm="guide"`}},
	413: {{"Retry-After", "1"}},
	415: {{"Accept", "text/plain"}, {"Accept-Encoding", "identity"}},
	416: {{"Content-Range", "bytes */0"}},
	426: {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}},
	429: {{"Retry-After", "1"}},
	451: {{"Link", `<https://www.rfc-editor.org/rfc/rfc7725.html>; rel="blocked-by"`}},
	503: {{"Retry-After", "1"}},
}

// locations are where Location leads, below the base path: to pages that can be asked for.
var locations = map[int]string{201: "201", 300: "300", 301: "301", 302: "302", 303: "303", 307: "try/200", 308: "try/200"}
