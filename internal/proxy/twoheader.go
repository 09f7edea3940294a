package proxy

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// targetURL is a URL whose RequestURI is the target as it is. One that begins with two slashes would be taken for an authority: it is
// taken apart, and put together again by net/url, which encodes what is not properly encoded.
func targetURL(r *message.Request) *url.URL {
	u := &url.URL{Scheme: "https", Host: r.Authority, Opaque: r.Target}
	if strings.HasPrefix(r.Target, "//") {
		u.Opaque = ""
		u.RawPath, u.RawQuery, u.ForceQuery = r.Target, "", false
		if path, query, found := strings.Cut(r.Target, "?"); found {
			u.RawPath, u.RawQuery, u.ForceQuery = path, query, query == ""
		}
		u.Path = u.RawPath
		if plain, err := url.PathUnescape(u.RawPath); err == nil {
			u.Path = plain
		}
	}
	return u
}

// headerOf is a request's fields for net/http.
func headerOf(f message.Fields) http.Header {
	h := make(http.Header, len(f)+1)
	h["User-Agent"] = []string{""} // otherwise there would be one of Go
	for i := range f {
		switch name := f[i].Name; name {
		case "content-length": // the request's Length says it
		case "trailer": // the request's Trailer says it
		case "user-agent":
			h["User-Agent"] = []string{f[i].Value}
		default:
			name = http.CanonicalHeaderKey(name)
			h[name] = append(h[name], f[i].Value)
		}
	}
	return h
}

// fieldsOf are the fields of a net/http header, whose order is lost.
func fieldsOf(h http.Header) (f message.Fields) {
	for _, key := range slices.Sorted(maps.Keys(h)) {
		name := strings.ToLower(key)
		if message.HopByHop(name) || !message.ValidName(name) {
			continue
		}
		for _, value := range h[key] {
			if value = strings.Trim(value, " \t"); message.ValidValue(value) {
				f = append(f, message.Field{Name: name, Value: value})
			}
		}
	}
	return f
}
