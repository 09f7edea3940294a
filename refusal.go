package usher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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
	if v.Reason == authority.Redirect {
		h.Set("Location", httpsURL(r, v))
	}
	if v.Reason == authority.MethodNotSupported {
		h.Set("Allow", allowed)
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

// RFC 9110 section 15.5.6: the origin server MUST generate an Allow header field in a 405 response.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// A Refusal is the guard's own answer to a verdict that is not to serve, for servers that are not net/http's. It goes with
// Cache-Control: no-store and, where there is a Body, X-Content-Type-Options: nosniff; to HEAD it goes without the Body.
type Refusal struct {
	Status        int
	Location      string // of a redirect; else empty
	Allow         string // of a 405; else empty
	ContentType   string // empty: there is no Body
	ContentLength string // of Body, in digits
	Body          []byte // must not be changed
	Close         bool   // the connection is to end gracefully after this answer
}

// Refusal returns the answer to a verdict that is not to serve q. target is the request target, as it came; accept are the values
// of Accept. The refusal handler has no part in it.
func (g *Guard) Refusal(v authority.Verdict, q *Request, target string, accept []string) Refusal {
	a := Refusal{Status: v.Status(), Close: v.Close, ContentLength: "0"}
	switch v.Reason {
	case authority.Redirect:
		a.Location = httpsURLOf(q.Authority, v, target)
	case authority.MethodNotSupported:
		a.Allow = allowed
	}
	if !g.current().rules.NoRefusalBody {
		body := bodyFor(a.Status, accept)
		a.ContentType, a.ContentLength, a.Body = body.contentType[0], body.length[0], body.text
	}
	return a
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
	return httpsURLTo(q.Authority, v, r.URL)
}

func httpsURLOf(asked string, v authority.Verdict, target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = new(url.URL)
	}
	return httpsURLTo(asked, v, u)
}

func httpsURLTo(asked string, v authority.Verdict, u *url.URL) string {
	a, err := authority.Parse(asked)
	if err != nil {
		return "/"
	}
	a = a.WithPort(0)
	if v.Port != authority.HTTPS.DefaultPort() {
		a = a.WithPort(v.Port)
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
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
