package web

import (
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"strconv"
	"strings"

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
	if c.Number == uploadResumption && !ofDraft(r) {
		plain(w, r, http.StatusOK, story(c)+"It is not sent to clients that do not name the version of its draft: "+draftField+": "+uploadDraft+"\n")
		return
	}
	if !c.Final() {
		g.tryInterim(w, r, c)
		return
	}
	if c.Number == http.StatusUpgradeRequired && r.ProtoMajor > 1 {
		plain(w, r, c.Number, story(c)+fmt.Sprintf("HTTP/%d has no Upgrade field, so this answer cannot name the protocol. Over HTTP/1.1 it does.\n", r.ProtoMajor))
		return
	}
	g.complete(h, c)
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
		g.tell(w, r, c, c.Number)
	}
}

// complete sets the fields without which a status is not complete.
func (g *guide) complete(h http.Header, c *statuscode.Code) {
	for _, f := range fieldsOf[c.Number] {
		h.Add(f.name, f.value)
	}
	if l, ok := locations[c.Number]; ok {
		h.Set("Location", g.base+"/"+l)
	}
}

// tryInterim sends the code with its own fields alone, and then 200. Clients of HTTP/1.0 know no interim responses.
func (g *guide) tryInterim(w http.ResponseWriter, r *http.Request, c *statuscode.Code) {
	if r.ProtoAtLeast(1, 1) {
		h := w.Header()
		final := h.Clone()
		clear(h)
		g.complete(h, c)
		w.WriteHeader(c.Number)
		clear(h)
		maps.Copy(h, final)
		if c.Number == uploadResumption {
			h.Set("Upload-Complete", "?1") // without it the Location would have to be that of the interim response
		}
	}
	g.tell(w, r, c, http.StatusOK)
}

// tryPart sends the part of its text that is asked for, and the first half where that is none, or several.
func (g *guide) tryPart(w http.ResponseWriter, r *http.Request, c *statuscode.Code) {
	text := story(c)
	first, last, ok := partOf(r.Header.Get("Range"), len(text))
	if !ok {
		first, last = 0, len(text)/2-1
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(text)))
	plain(w, r, c.Number, text[first:last+1])
}

// partOf reads a Range field with one range: bytes=0-9, bytes=10- or bytes=-5 (RFC 9110 section 14.1.2). It is not ok where that is
// malformed or lies outside of the length.
func partOf(field string, length int) (first, last int, ok bool) {
	text, ok := strings.CutPrefix(field, "bytes=")
	from, to, ok2 := strings.Cut(text, "-")
	a, errA := strconv.ParseUint(from, 10, 31)
	b, errB := strconv.ParseUint(to, 10, 31)
	switch {
	case !ok || !ok2:
	case from == "" && errB == nil:
		return max(length-int(b), 0), length - 1, b > 0
	case errA == nil && to == "":
		return int(a), length - 1, int(a) < length
	case errA == nil && errB == nil:
		return int(a), min(int(b), length-1), a <= b && int(a) < length
	}
	return 0, 0, false
}

// tell answers with the content that a status has to have, else with the story of its code.
func (g *guide) tell(w http.ResponseWriter, r *http.Request, c *statuscode.Code, status int) {
	if own, ok := contents[c.Number]; ok {
		content(w, r, status, own.mediaType, strings.ReplaceAll(own.text, "BASE", template.HTMLEscapeString(g.base)))
		return
	}
	plain(w, r, status, story(c))
}

func plain(w http.ResponseWriter, r *http.Request, status int, text string) {
	content(w, r, status, "text/plain; charset=utf-8", text)
}

func content(w http.ResponseWriter, r *http.Request, status int, mediaType, text string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprint(w, text)
	}
}

func story(c *statuscode.Code) string {
	return fmt.Sprintf("%d %s\n%s\nFor clients: retry: %s\n", c.Number, c.Name, statuscode.Plain(c.Summary), c.Client.Retry)
}

// What draft-ietf-httpbis-resumable-upload has clients and servers tell each other until it is an RFC.
const (
	uploadResumption = 104
	draftField       = "Upload-Draft-Interop-Version"
	uploadDraft      = "8" // in versions 09 to 11 of the draft; 12 has 9, 13 has 10
)

// ofDraft reports whether a client speaks the version of the draft that 104 is sent for; others must not be sent one.
func ofDraft(r *http.Request) bool {
	versions := r.Header[draftField]
	return len(versions) == 1 && strings.TrimSpace(versions[0]) == uploadDraft
}

type fieldLine struct{ name, value string }

// fieldsOf are the fields without which a status is not complete.
var fieldsOf = map[int][]fieldLine{
	104: {{draftField, uploadDraft}},
	103: {{"Link", "<../style.css>; rel=preload; as=style"}},
	206: {{"ETag", `"usher"`}},
	226: {{"IM", "feed"}, {"ETag", `"usher"`}},
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

// contents are what the documents of some codes want in the response, or recommend. BASE is the base path.
var contents = map[int]struct{ mediaType, text string }{
	207: {"application/xml; charset=utf-8", `<?xml version="1.0" encoding="utf-8"?>
<d:multistatus xmlns:d="DAV:">
  <d:response><d:href>BASE/200</d:href><d:status>HTTP/1.1 200 OK</d:status></d:response>
  <d:response><d:href>BASE/404</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>
</d:multistatus>
`},
	300: {"text/html; charset=utf-8", `<!doctype html>
<title>300 Multiple Choices</title>
<ul>
<li><a href="BASE/200">What 200 says</a>
<li><a href="BASE/300">What 300 says</a>
</ul>
`},
	423: {"application/xml; charset=utf-8", `<?xml version="1.0" encoding="utf-8"?>
<d:error xmlns:d="DAV:"><d:lock-token-submitted><d:href>BASE/423</d:href></d:lock-token-submitted></d:error>
`},
	511: {"text/html; charset=utf-8", `<!doctype html>
<title>511 Network Authentication Required</title>
<p>A network would link to its login here: <a href="BASE/511">log in</a>.</p>
`},
}

// locations are where Location leads, below the base path: to what can be asked for.
var locations = map[int]string{104: "try/204", 201: "201", 300: "300", 301: "301", 302: "302", 303: "303", 307: "try/200", 308: "try/200"}
