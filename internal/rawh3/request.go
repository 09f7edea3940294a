package rawh3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
)

// A Field is the name and the value of a field line or a pseudo-header field, sent as they stand.
type Field [2]string

// Get returns the fields of an ordinary request, with further ones after them.
func Get(authority, path string, more ...Field) []Field {
	return Request("GET", "https", authority, path, more...)
}

// Request returns the pseudo-header fields of a request, with further fields after them.
func Request(method, scheme, authority, path string, more ...Field) []Field {
	return append([]Field{{":method", method}, {":scheme", scheme}, {":authority", authority}, {":path", path}}, more...)
}

// A Response is what came back on a request stream.
type Response struct {
	Informational [][]Field // of each 1xx response
	Status        int
	Fields        []Field // as received, :status included
	Trailers      []Field
	Body          []byte
}

// Values returns the values of all fields of that name, which is in lower case.
func (r *Response) Values(name string) []string {
	var values []string
	for _, f := range r.Fields {
		if f[0] == name {
			values = append(values, f[1])
		}
	}
	return values
}

// Do sends a request on a stream of its own and reads the response. A reset stream is a [*quic.StreamError], a closed
// connection a [*quic.ApplicationError] or another error of quic-go.
func (c *Conn) Do(ctx context.Context, fields []Field, body string) (*Response, error) {
	s, err := c.Stream(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Headers(fields); err != nil {
		// The server may have answered without reading everything.
		if _, ok := errors.AsType[*quic.StreamError](err); !ok {
			return nil, err
		}
	}
	if body != "" {
		s.Data(body)
	}
	s.End()
	return s.Response()
}

// A Stream is a request stream.
type Stream struct {
	QUIC     *quic.Stream
	stop     func() bool
	arrivals *arrivals
}

// Stream opens a request stream. It is reset when ctx ends.
func (c *Conn) Stream(ctx context.Context) (*Stream, error) {
	qs, err := c.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		qs.CancelRead(RequestCancelled)
		qs.CancelWrite(RequestCancelled)
	})
	return &Stream{qs, stop, c.arrivals}, nil
}

// Headers sends a HEADERS frame.
func (s *Stream) Headers(fields []Field) error { return s.Raw(HeadersFrame(fields)) }

// HeadersFrame returns the bytes of a HEADERS frame.
func HeadersFrame(fields []Field) []byte {
	var block bytes.Buffer
	if len(fields) == 0 {
		block.Write([]byte{0, 0}) // the prefix (RFC 9204 section 4.5.1), which the encoder writes with the first field
	}
	enc := qpack.NewEncoder(&block)
	for _, f := range fields {
		if err := enc.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
	}
	return appendFrame(nil, frameHeaders, block.Bytes())
}

// Data sends a DATA frame.
func (s *Stream) Data(body string) error { return s.Raw(DataFrame(body)) }

// DataFrame returns the bytes of a DATA frame.
func DataFrame(body string) []byte { return appendFrame(nil, frameData, []byte(body)) }

// Raw sends bytes.
func (s *Stream) Raw(b []byte) error {
	_, err := s.QUIC.Write(b)
	return err
}

// End ends the request.
func (s *Stream) End() error { return s.QUIC.Close() }

// Response reads the response to its end.
func (s *Stream) Response() (*Response, error) {
	defer s.stop()
	counted, done := s.arrivals.from(s.QUIC.StreamID(), s.QUIC)
	defer done()
	r := bufio.NewReader(counted)
	res := new(Response)
	for {
		kind, payload, err := readFrame(r)
		if err == io.EOF && res.Status != 0 {
			return res, nil
		}
		if err != nil {
			return nil, unexpected(err)
		}
		switch kind {
		case frameData:
			res.Body = append(res.Body, payload...)
		case frameHeaders:
			if err := res.section(payload); err != nil {
				return nil, err
			}
		}
	}
}

func (r *Response) section(block []byte) error {
	fields, err := decode(block)
	if err != nil {
		return err
	}
	if r.Status != 0 {
		r.Trailers = fields
		return nil
	}
	i := slices.IndexFunc(fields, func(f Field) bool { return f[0] == ":status" })
	if i < 0 {
		return fmt.Errorf("no :status in %q", fields)
	}
	status, err := strconv.Atoi(fields[i][1])
	if err != nil {
		return err
	}
	if status < 200 {
		r.Informational = append(r.Informational, fields)
		return nil
	}
	r.Status, r.Fields = status, fields
	return nil
}

func decode(block []byte) ([]Field, error) {
	var fields []Field
	for next := qpack.NewDecoder().Decode(block); ; {
		f, err := next()
		if err == io.EOF {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, Field{f.Name, f.Value})
	}
}
