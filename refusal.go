package usher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/usher-http/usher/authority"
)

type errorKey struct{}

// ErrorFrom returns the refusal that a refusal handler is called for, nil elsewhere.
func ErrorFrom(ctx context.Context) *Error {
	e, _ := ctx.Value(errorKey{}).(*Error)
	return e
}

// SetRefusalHandler replaces what is answered to refused requests; nil restores the guard's own answer. The handler
// finds the refusal with [ErrorFrom] and should answer with its Verdict.Status(). Cache-Control: no-store,
// Location or Allow where the status needs it and, where the connection should end, Connection: close are set before it is
// called; what outer handlers set is gone. It may be called while serving.
func (g *Guard) SetRefusalHandler(h http.Handler) {
	if h == nil {
		g.refusal.Store(nil)
		return
	}
	g.refusal.Store(&h)
}

// Refuse answers a request whose verdict is not to serve it.
//
// A 421 is an answer about a connection (RFC 9110 section 15.5.20): it carries no-store, because caches must not take
// it for a property of the resource, and no Alt-Svc, because clients must ignore it there (RFC 7838 section 6). It says
// nothing about what is behind the door and echoes nothing of the request.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, v authority.Verdict) {
	g.answer(w, r, v)
	Settle(w, r)
}

func (g *Guard) answer(w http.ResponseWriter, r *http.Request, v authority.Verdict) {
	h := w.Header()
	for name := range h {
		// What an outer handler has set was meant for another answer: validators, alternatives, versions, fields that
		// echo the request.
		if name != "Connection" && name != "Date" {
			delete(h, name)
		}
	}
	h["Cache-Control"] = noStore
	if v.Close {
		h["Connection"] = closing
	}
	switch v.Reason {
	case authority.Redirect:
		h.Set("Location", httpsURL(r, v))
	case authority.MethodNotSupported:
		// RFC 9110 section 15.5.6: the origin server MUST generate an Allow header field in a 405 response.
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if custom := g.refusal.Load(); custom != nil {
		e := errorOf(v, r, g.Conn(r))
		(*custom).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), errorKey{}, e)))
		return
	}
	if g.current().rules.NoRefusalBody {
		h.Set("Content-Length", "0")
		w.WriteHeader(v.Status())
		return
	}
	body := bodyFor(v.Status(), r.Header["Accept"])
	h["Content-Type"] = body.contentType
	h["Content-Length"] = body.length
	h["X-Content-Type-Options"] = noSniff
	w.WriteHeader(v.Status())
	if r.Method != http.MethodHead {
		w.Write(body.text)
	}
}

var (
	noStore = []string{"no-store"}
	closing = []string{"close"}
	noSniff = []string{"nosniff"}
)

// httpsURL is where a request on a plaintext listener is sent. The target is the client's own; the host is the parsed one.
func httpsURL(r *http.Request, v authority.Verdict) string {
	q := authority.Request{Authority: r.Host}
	if r.ProtoMajor == 1 {
		readTarget(r, &q)
	}
	a, err := authority.Parse(q.Authority)
	if err != nil {
		return "/"
	}
	a = a.WithPort(0)
	if v.Port != authority.HTTPS.DefaultPort() {
		a = a.WithPort(v.Port)
	}
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		path += "?" + r.URL.RawQuery
	}
	return "https://" + a.String() + path
}

type refusalBody struct {
	contentType []string
	length      []string
	text        []byte
}

type refusalForm int

const (
	formText refusalForm = iota
	formHTML
	formProblem
)

// The bodies are the same for every request, so they are made once.
var refusalBodies = func() map[int][3]refusalBody {
	m := map[int][3]refusalBody{}
	for status, detail := range map[int]string{
		308: "This site is served over https.",
		400: "The request does not say clearly which host it is for.",
		404: "There is no such site here.",
		405: "This server does not tunnel.",
		421: "This connection cannot be used for this request. A new connection may help.",
		425: "Repeat the request when the handshake is complete.",
		500: "The server is not set up to answer this request.",
	} {
		m[status] = bodiesOf(status, http.StatusText(status), detail)
	}
	return m
}()

func bodiesOf(status int, title, detail string) (b [3]refusalBody) {
	b[formText] = newBody("text/plain; charset=utf-8", fmt.Sprintf("%d %s\n%s\n", status, title, detail))
	b[formHTML] = newBody("text/html; charset=utf-8", fmt.Sprintf(
		"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"+
			"<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n</html>\n", status, title, title, detail))
	problem, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", title, status, detail})
	b[formProblem] = newBody("application/problem+json", string(problem)+"\n")
	return b
}

func newBody(contentType, text string) refusalBody {
	return refusalBody{[]string{contentType}, []string{strconv.Itoa(len(text))}, []byte(text)}
}

func bodyFor(status int, accept []string) refusalBody {
	return refusalBodies[status][formFor(accept)]
}

// formFor picks the form by the types that Accept names. Weights are left out on purpose: browsers name text/html, API
// clients a JSON type, and everybody else can read plain text.
func formFor(accept []string) refusalForm {
	for _, line := range accept {
		line = strings.ToLower(line)
		switch {
		case strings.Contains(line, "text/html"):
			return formHTML
		case strings.Contains(line, "json"):
			return formProblem
		}
	}
	return formText
}
