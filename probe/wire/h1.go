package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// doH1 sends a request of HTTP/1.1. net/http reads the answer; the limits are ours.
func (c *Conn) doH1(r *Request) Answer {
	if err := c.writeH1(r); err != nil {
		// The server may have answered, or said why it does not, before it closed: look.
		if a := c.readH1(r); a.Failure != Closed || a.Status != 0 {
			a.Closed = true
			return a
		}
		return failed(err)
	}
	return c.readH1(r)
}

func (c *Conn) writeH1(r *Request) error {
	fmt.Fprintf(c.w, "%s %s HTTP/1.1\r\n", r.method(), or(r.Target, r.path()))
	hosts := r.Hosts
	if hosts == nil {
		hosts = []string{r.Authority}
	}
	for _, h := range hosts {
		fmt.Fprintf(c.w, "Host: %s\r\n", h)
	}
	if r.UserAgent != "" {
		fmt.Fprintf(c.w, "User-Agent: %s\r\n", r.UserAgent)
	}
	c.w.WriteString("Accept: */*\r\n\r\n")
	return c.w.Flush()
}

// errHeader: the header section is longer than the limit.
var errHeader = errors.New("the header section is too long")

func (c *Conn) readH1(r *Request) Answer {
	for range maxInterim {
		a, done, err := c.readH1Response(r)
		if err != nil {
			return failed(err)
		}
		if done {
			return a
		}
	}
	return failed(errFlood)
}

func (c *Conn) readH1Response(r *Request) (a Answer, done bool, err error) {
	// Whatever is read for the header section counts; content has a limit of its own. The second reader finds in the first what is
	// there already, and adds nothing that would be lost with it: it reads byte by byte from its point of view.
	head := &headReader{r: c.r, left: c.limits.Header}
	section, err := head.section()
	if err != nil {
		return a, false, err
	}
	res, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(section), c.r)), &http.Request{Method: r.method()})
	if err != nil {
		return a, false, err
	}
	if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		return a, false, nil
	}
	a = Answer{Status: res.StatusCode, Fields: fieldsOf(res.Header)}
	g := newGatherer(c.limits.Body)
	n, err := io.Copy(g, io.LimitReader(res.Body, int64(c.limits.Body)+1))
	g.fill(&a)
	a.Truncated = n > int64(c.limits.Body)
	// Each response has a reader of its own, which may hold the start of the next one: with one request at a time there is none.
	a.Closed = a.Truncated || res.Close || err != nil || res.StatusCode == http.StatusSwitchingProtocols
	if err != nil {
		a.Failure, a.Detail = failureOf(err)
	}
	return a, true, nil
}

func fieldsOf(h http.Header) [][2]string {
	var list [][2]string
	for name, values := range h {
		for _, v := range values {
			list = append(list, [2]string{strings.ToLower(name), v})
		}
	}
	slices.SortStableFunc(list, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return list
}

// A headReader takes a header section from a reader, line by line.
type headReader struct {
	r    *bufio.Reader
	left int
}

func (h *headReader) section() (string, error) {
	var text []byte
	for {
		line, err := h.r.ReadSlice('\n')
		h.left -= len(line)
		text = append(text, line...)
		switch {
		case h.left < 0:
			return "", errHeader
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(text) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case len(text) > 2 && (string(line) == "\r\n" || string(line) == "\n"):
			return string(text), nil
		case len(text) == len(line) && !strings.HasPrefix(string(line), "HTTP/"):
			return "", fmt.Errorf("no HTTP/1.1 status line: %q", clip(string(line), 60))
		}
	}
}
