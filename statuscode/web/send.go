package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// send answers with a body that has a validator: conditional requests, ranges and HEAD are http.ServeContent's. What is stored has
// to be asked for again, which costs no content where nothing changed.
func send(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// html answers with a page. Only a page that is there has a validator.
func html(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	if status == http.StatusOK {
		send(w, r, "text/html; charset=utf-8", body)
		return
	}
	whole(w, r, status, "text/html; charset=utf-8", body)
}

// whole answers with a body that is not to be kept.
func whole(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// problem answers with problem details (RFC 9457).
func problem(w http.ResponseWriter, r *http.Request, status int, detail string) {
	whole(w, r, status, "application/problem+json", encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{nameOf(status), status, detail}))
}

// encode writes JSON for people too.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // a type of this package
	}
	return b.Bytes()
}
