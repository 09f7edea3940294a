package proxy

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// canned is a connection to a server that has said all that it will say.
type canned struct {
	net.Conn
	left []byte
	cut  int // how much comes at once
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[:min(c.cut, len(c.left))])
	c.left = c.left[n:]
	return n, nil
}

func (c *canned) Write(p []byte) (int, error)   { return len(p), nil }
func (c *canned) Close() error                  { return nil }
func (c *canned) SetDeadline(_ time.Time) error { return nil }

// outcome is an answer that was taken as a whole.
type outcome struct {
	status   int
	fields   message.Fields
	content  []byte
	trailers message.Fields
}

// ask returns what we make of the bytes; nil: they were refused.
func ask(method string, c net.Conn) *outcome {
	s := NewServer(Config{
		Address:        "upstream.test:80",
		MaxHeaderBytes: 64 << 10,
		Dial:           func(context.Context, string, string) (net.Conn, error) { return c, nil },
	})
	defer s.CloseIdle()
	r := get("/")
	r.Method = method
	res, err := s.Do(new(Call), r)
	if err != nil {
		return nil
	}
	defer res.Close()
	o := &outcome{status: res.Status, fields: slices.Clone(res.Fields)}
	if o.content, err = io.ReadAll(res); err != nil {
		return nil
	}
	o.trailers = slices.Clone(res.Trailers())
	return o
}

// FuzzAnswer compares our parser with net/http's: what we take, it takes, with the same meaning. Where we are stricter, that is as it
// should be. However the bytes are cut, the same comes of them.
func FuzzAnswer(f *testing.F) {
	for _, sh := range shapes {
		f.Add(sh.method == "HEAD", sh.bytes)
	}
	f.Fuzz(func(t *testing.T, head bool, answer string) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		whole := ask(method, &canned{left: []byte(answer), cut: len(answer) + 1})
		pieces := ask(method, &canned{left: []byte(answer), cut: 3})
		if (whole == nil) != (pieces == nil) || whole != nil && !whole.equal(pieces) {
			t.Fatalf("whole: %+v, in pieces: %+v", whole, pieces)
		}
		if whole == nil {
			return
		}
		in := bufio.NewReaderSize(strings.NewReader(answer), 1<<20) // it takes trailers up to its buffer
		for {
			res, err := http.ReadResponse(in, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("net/http refuses it: %v; we say %+v", err, whole)
			}
			if res.StatusCode >= 100 && res.StatusCode < 200 {
				continue
			}
			whole.compare(t, res)
			return
		}
	})
}

func (o *outcome) equal(p *outcome) bool {
	return o.status == p.status && equal(o.fields, p.fields) && bytes.Equal(o.content, p.content) && equal(o.trailers, p.trailers)
}

func (o *outcome) compare(t *testing.T, res *http.Response) {
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("net/http refuses the content: %v; we say %q", err, o.content)
	}
	if res.StatusCode != o.status || !bytes.Equal(content, o.content) {
		t.Errorf("we: %d %q\nnet/http: %d %q", o.status, o.content, res.StatusCode, content)
	}
	for name := range o.fields.Tokens("trailer") {
		if _, ok := res.Trailer[http.CanonicalHeaderKey(name)]; !ok {
			t.Errorf("we were told of %s, net/http of %q", name, res.Trailer)
		}
	}
	same(t, o.fields.Silent(), res.Header, res.Header)
	same(t, o.trailers, res.Trailer, res.Header)
}

// same compares fields, or trailers, of an answer with that header section.
func same(t *testing.T, fields message.Fields, h, header http.Header) {
	for i := range fields {
		name := fields[i].Name
		if ours, theirs := fields.Values(name), h[http.CanonicalHeaderKey(name)]; !slices.Equal(ours, theirs) {
			t.Errorf("%s: we %q, net/http %q", name, ours, theirs)
		}
	}
	for name, values := range h {
		lower := strings.ToLower(name)
		if len(values) > 0 && !message.HopByHop(lower) && http1.Trailing(lower) && !fields.Has(lower) && !named(header, lower) {
			t.Errorf("%s: net/http alone has %q", name, values)
		}
	}
}

// named reports whether a field is for the connection alone because Connection says so.
func named(h http.Header, name string) bool {
	for _, value := range h["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			if strings.ToLower(strings.Trim(option, " \t")) == name {
				return true
			}
		}
	}
	return false
}
