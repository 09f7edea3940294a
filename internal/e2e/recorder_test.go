package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A recorder is an upstream that trusts nobody: it reads HTTP/1.1 by the letter of RFC 9112, keeps every byte, and takes whatever
// is not in order for a fault. It shares no code with what it checks. It answers each request with its method, target and body.
type recorder struct {
	url string

	mu       sync.Mutex
	complete []recorded
	broken   []string // what came of requests whose connection ended before they did
	faults   []string
}

// A recorded is a request as it stood on the wire.
type recorded struct {
	conn           int // which connection of the recorder it came on
	method, target string
	fields         []string // "name: value", the name in lower case
	body           []byte
	trailers       []string
	raw            string
}

// values returns the values of all field lines of a name.
func (r *recorded) values(name string) (list []string) {
	for _, f := range r.fields {
		if rest, ok := strings.CutPrefix(f, name+": "); ok {
			list = append(list, rest)
		}
	}
	return list
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &recorder{url: "http://" + l.Addr().String()}
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { l.Close() })
	conns.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			conns.Go(func() { u.serve(c, n) })
		}
	})
	return u
}

func (u *recorder) serve(c net.Conn, n int) {
	defer c.Close()
	var raw bytes.Buffer
	in := strictReader{bufio.NewReaderSize(io.TeeReader(c, &raw), 16)} // hardly reads ahead, so that raw is what was taken for one request
	for {
		raw.Reset()
		r, err := in.request(func() { io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n") })
		r.conn, r.raw = n, raw.String()
		u.mu.Lock()
		var fault strictError
		switch {
		case errors.As(err, &fault):
			u.faults = append(u.faults, fmt.Sprintf("%v in %.600q", err, r.raw))
		case err != nil && r.raw != "":
			u.broken = append(u.broken, r.raw)
		case err == nil:
			u.complete = append(u.complete, r)
		}
		u.mu.Unlock()
		if err != nil {
			return
		}
		text := fmt.Sprintf("%s %s %s\n", r.method, r.target, r.body)
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text))
		if r.method != "HEAD" {
			answer += text
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// seen returns the complete requests whose target has a mark.
func (u *recorder) seen(mark string) (list []recorded) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.complete {
		if strings.Contains(r.target, mark) {
			list = append(list, r)
		}
	}
	return list
}

// check fails the test for faults, and for complete requests whose target has none of the marks, and forgets them.
func (u *recorder) check(t testing.TB, marks ...string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.faults {
		t.Errorf("what the upstream got is malformed: %s", f)
	}
	u.faults = nil
	u.complete = slices.DeleteFunc(u.complete, func(r recorded) bool {
		for _, mark := range marks {
			if strings.Contains(r.target, mark) {
				return false
			}
		}
		t.Errorf("a request that nobody asked for: %.300q", r.raw)
		return true
	})
}

// A strictError is a fault of the sender.
type strictError string

func (e strictError) Error() string { return string(e) }

// strictReader reads requests. Its errors are strictErrors, or come from the connection.
type strictReader struct{ *bufio.Reader }

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\\x80-\\xff]+) HTTP/1\\.1$")
	fieldLine   = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(|[!-~\\x80-\\xff](?:[ \t!-~\\x80-\\xff]*[!-~\\x80-\\xff])?)[ \t]*$")
	decimal     = regexp.MustCompile(`^[0-9]{1,18}$`)
	hexadecimal = regexp.MustCompile(`^[0-9A-Fa-f]{1,15}$`)
	trailerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9a-z-]+$")
)

// line reads up to CRLF.
func (in strictReader) line() (string, error) {
	var b []byte
	for {
		c, err := in.ReadByte()
		switch {
		case err != nil:
			return "", err
		case len(b) > 0 && b[len(b)-1] == '\r':
			if c != '\n' {
				return "", strictError("CR without LF")
			}
			return string(b[:len(b)-1]), nil
		case c == '\n':
			return "", strictError("LF without CR")
		case c == 0:
			return "", strictError("NUL")
		}
		b = append(b, c)
	}
}

func (in strictReader) fields() (list []string, err error) {
	for {
		line, err := in.line()
		if err != nil || line == "" {
			return list, err
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil {
			return list, strictError(fmt.Sprintf("field line %q", line))
		}
		list = append(list, strings.ToLower(m[1])+": "+m[2])
	}
}

// request reads one. expects is called where the client waits for 100.
func (in strictReader) request(expects func()) (r recorded, err error) {
	line, err := in.line()
	if err != nil {
		return r, err
	}
	m := requestLine.FindStringSubmatch(line)
	if m == nil {
		return r, strictError(fmt.Sprintf("request line %q", line))
	}
	r.method, r.target = m[1], m[2]
	if r.fields, err = in.fields(); err != nil {
		return r, err
	}
	if n := len(r.values("host")); n != 1 {
		return r, strictError(fmt.Sprintf("%d Host fields", n))
	}
	if len(r.values("expect")) > 0 {
		expects()
	}
	lengths, codings := r.values("content-length"), r.values("transfer-encoding")
	if fault := misannounced(r.values("trailer"), len(codings) > 0); fault != "" {
		return r, strictError(fault)
	}
	switch {
	case len(lengths)+len(codings) > 1:
		return r, strictError("more than one field that says how long the content is")
	case len(codings) == 1 && codings[0] != "chunked":
		return r, strictError(fmt.Sprintf("transfer coding %q", codings[0]))
	case len(codings) == 1:
		return r, in.chunks(&r)
	case len(lengths) == 0:
		return r, nil
	case !decimal.MatchString(lengths[0]):
		return r, strictError(fmt.Sprintf("length %q", lengths[0]))
	}
	n, _ := strconv.Atoi(lengths[0])
	r.body, err = io.ReadAll(io.LimitReader(in, int64(n)))
	if err == nil && len(r.body) < n {
		err = io.ErrUnexpectedEOF
	}
	return r, err
}

// misannounced says what is wrong with the fields Trailer of a request; empty: nothing. They name what may come behind chunks, and never
// what decides where the content ends, or what the gateway alone says.
func misannounced(values []string, chunked bool) string {
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1 || !chunked:
		return fmt.Sprintf("trailers are announced as %q, chunked: %v", values, chunked)
	}
	for _, name := range strings.Split(values[0], ", ") {
		dashed := strings.NewReplacer("_", "-", ".", "-").Replace(name)
		if !trailerName.MatchString(name) || strings.HasPrefix(dashed, "x-forwarded") || strings.HasPrefix(dashed, "client-cert") ||
			slices.Contains([]string{"content-length", "transfer-encoding", "trailer", "host", "connection", "te", "upgrade", "forwarded", "x-real-ip"}, dashed) {
			return fmt.Sprintf("trailers are announced as %q", values[0])
		}
	}
	return ""
}

func (in strictReader) chunks(r *recorded) error {
	for {
		line, err := in.line()
		if err != nil {
			return err
		}
		if !hexadecimal.MatchString(line) {
			return strictError(fmt.Sprintf("chunk size %q", line))
		}
		n, _ := strconv.ParseInt(line, 16, 64)
		if n == 0 {
			r.trailers, err = in.fields()
			return err
		}
		chunk, err := io.ReadAll(io.LimitReader(in, n))
		if err != nil {
			return err
		}
		r.body = append(r.body, chunk...)
		if int64(len(chunk)) < n {
			return io.ErrUnexpectedEOF
		}
		if line, err = in.line(); err != nil {
			return err
		}
		if line != "" {
			return strictError(fmt.Sprintf("%q behind a chunk", line))
		}
	}
}
