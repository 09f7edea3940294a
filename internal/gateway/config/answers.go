package config

import (
	"errors"
	"io/fs"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const maxBody = 1 << 20

func (k *checker) checkRespond(c *cursor, spec *RespondSpec) *Respond {
	at := c.key("status")
	switch n := spec.Status; {
	case n == 421:
		k.fail(at, "421 is an answer about a connection, and the gateway gives it where it is due; use 404 or 403",
			"respond.status must not be 421")
	case n >= 100 && n < 200:
		k.fail(at, "", "status %d is interim and ends no request (RFC 9110 section 15.2)", n)
	case n < 200 || n > 599:
		k.fail(at, "", "status must be a number from 200 to 599, not %d", n)
	case (n == 204 || n == 205 || n == 304) && spec.Body != "":
		k.fail(c.key("body"), "remove the body, or choose another status", "a response with status %d has no body", n)
	}
	if len(spec.Body) > maxBody {
		k.fail(c.key("body"), "put it into a file and use files", "body is larger than %d MiB", maxBody>>20)
	}
	return &Respond{Status: spec.Status, Body: spec.Body, Header: k.checkHeaders(c.key("headers"), spec.Headers)}
}

// reserved are header fields that belong to the connection or to the gateway, with the reason.
var reserved = map[string]string{
	"Connection":          "belongs to the connection",
	"Keep-Alive":          "belongs to the connection",
	"Proxy-Connection":    "belongs to the connection",
	"Proxy-Authenticate":  "belongs to the connection",
	"Proxy-Authorization": "belongs to the connection",
	"Te":                  "belongs to the connection",
	"Trailer":             "announces what does not follow",
	"Transfer-Encoding":   "belongs to the connection",
	"Upgrade":             "belongs to the connection",
	"Content-Length":      "is counted by the gateway",
	"Alt-Svc":             "is sent by the gateway, for the listeners that speak h3",
}

func (k *checker) checkHeaders(c *cursor, fields map[string]string) http.Header {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	header := http.Header{}
	for _, name := range names {
		at, value := c.key(name), fields[name]
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			k.fail(at, "", "%q is no name of a header field", name)
		case reserved[canonical] != "":
			k.fail(at, "remove it", "header field %q %s", name, reserved[canonical])
		case !httpguts.ValidHeaderFieldValue(value):
			k.fail(at, "", "header field %q has a line end or a control character in its value", name)
		case header[canonical] != nil:
			k.fail(at, "", "header field %q is given twice", canonical)
		default:
			header[canonical] = []string{value}
		}
	}
	return header
}

func (k *checker) checkRedirect(c *cursor, spec *RedirectSpec) *Redirect {
	r := &Redirect{To: spec.To, Status: spec.Status}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, spec.Status) {
		k.fail(c.key("status"), "", "redirect.status must be 301, 302, 303, 307 or 308, not %d", spec.Status)
	}
	at := c.key("to")
	if !k.needed(c, "to", spec.To) {
		return r
	}
	u, err := url.Parse(spec.To)
	switch {
	case err != nil || strings.ContainsFunc(spec.To, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		k.fail(at, "write other characters than ASCII percent-encoded", "redirect.to %q is no URL", spec.To)
	case strings.HasPrefix(spec.To, "//"), strings.HasPrefix(spec.To, "/\\"):
		k.fail(at, "write the scheme, as in https://elsewhere.example", "redirect.to %q leads to another host without a scheme", spec.To)
	case strings.HasPrefix(spec.To, "/"):
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil:
	default:
		k.fail(at, "write https://host/path, or /path for the same host", "redirect.to %q is no absolute http or https URL", spec.To)
	}
	return r
}

// checkFolder returns the folder of a files route.
func (k *checker) checkFolder(c *cursor, typed string) string {
	folder := k.resolve(typed)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.fail(c, k.where(typed), "%s: there is no folder %q", c.label(), typed)
	case err != nil:
		k.fail(c, "", "%s: cannot read %q: %s", c.label(), typed, plain(err))
	case !info.IsDir():
		k.fail(c, "", "%s: %q is a file, not a folder", c.label(), typed)
	}
	return folder
}
