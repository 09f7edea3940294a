package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// serveHTTP answers with a handler of net/http's, which sees the header section of the request and no content.
func (x *exchange) serveHTTP(serve func(http.ResponseWriter, *http.Request)) {
	r := x.request
	u := &url.URL{Path: x.path}
	_, u.RawQuery, _ = strings.Cut(r.Target, "?")
	in := &http.Request{Method: r.Method, URL: u, Host: r.Authority, RequestURI: r.Target, Header: make(http.Header, len(r.Fields)),
		Proto: fmt.Sprintf("HTTP/%d.%d", r.Major, r.Minor), ProtoMajor: r.Major, ProtoMinor: r.Minor, Body: http.NoBody, RemoteAddr: x.client.remote}
	for _, field := range r.Fields {
		in.Header.Add(field.Name, field.Value)
	}
	w := &handlerWriter{x: x, header: http.Header{}}
	serve(w, in)
	w.finish()
}

// A handlerWriter is an exchange's answer as handlers of net/http's write it.
type handlerWriter struct {
	x      *exchange
	header http.Header
	bare   bool  // the answer has no content
	left   int64 // of its content, where a length is announced
	err    error
}

func (w *handlerWriter) Header() http.Header { return w.header }

func (w *handlerWriter) WriteHeader(status int) {
	if w.x.status != 0 {
		return
	}
	f := w.x.answer()
	for name, values := range w.header {
		for _, value := range values {
			f = append(f, message.Field{Name: strings.ToLower(textproto.CanonicalMIMEHeaderKey(name)), Value: value})
		}
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.x.inform(status, f)
		return
	}
	if strings.EqualFold(w.header.Get("Connection"), "close") {
		w.x.out.Last()
	}
	w.bare = w.x.request.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified ||
		w.header.Get("Content-Length") == "0"
	if n, ok := message.ParseLength(w.header.Get("Content-Length")); ok && !w.bare {
		w.left = n
	}
	w.err = w.x.respond(status, f, w.bare)
}

func (w *handlerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.err == nil && !w.bare {
		w.err = w.x.write(p)
		w.left -= int64(len(p))
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// ReadFrom saves io.Copy from making a buffer for each file, and needs one only while the client takes what is in it.
func (w *handlerWriter) ReadFrom(src io.Reader) (sum int64, err error) {
	w.WriteHeader(http.StatusOK)
	for w.err == nil {
		most := largeBuffer
		if !w.bare {
			if most, w.err = w.x.room(-1); w.err != nil {
				break
			}
		}
		buf := borrow(most)
		n, err := src.Read(buf)
		if n > 0 {
			sum += int64(n)
			w.Write(buf[:n])
		}
		putBack(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, w.err
}

func (w *handlerWriter) finish() {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.err != nil || w.bare:
	case w.left > 0:
		w.x.abort() // a file has become shorter meanwhile, or cannot be read on: nobody is to take this for all of it
	default:
		w.x.out.Finish(nil)
	}
}
