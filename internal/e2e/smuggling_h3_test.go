package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
)

// RFC 9114 section 4.1.2: "Malformed requests or responses that are detected MUST be treated as a stream error of type H3_MESSAGE_ERROR.
// For malformed requests, a server MAY send an HTTP response indicating the error prior to closing or resetting the stream."
const illFormed3 = "H3_MESSAGE_ERROR|400"

// smuggles3 are rows that HTTP/3 has beside those of smuggles2, or in the place of the one with the same name.
var smuggles3 = []smuggle2{
	{name: "a good body, its length 0 and nothing", fields: []string{":method", "POST", "content-length", "0"}, want: "200", check: asPOST("")},
	{name: "a length with a blank", fields: []string{":method", "POST", "content-length", "5 "}, data: []string{"hello"}, want: illFormed3 + "|200", check: asPOST("hello")},
	{name: "a length in hexadecimal", fields: []string{":method", "POST", "content-length", "0x5"}, data: []string{"hello"}, want: illFormed3},
	{name: "a GET with more than the length", fields: []string{"content-length", "5"}, data: []string{"hello" + stray}, want: illFormed3},
	{name: "a GET with less than the length", fields: []string{"content-length", "50"}, data: []string{"hello"}, want: illFormed3},
	{name: "a long body with more than the length", fields: []string{":method", "POST", "content-length", "100000"}, data: []string{strings.Repeat("x", 60_000), strings.Repeat("x", 40_000) + stray}, want: illFormed3},
	{name: "a long body with less than the length", fields: []string{":method", "POST", "content-length", "100000"}, data: []string{strings.Repeat("x", 60_000), strings.Repeat("x", 30_000)}, want: illFormed3},
	{name: "a GET with something where the length is 0", fields: []string{"content-length", "0"}, data: []string{stray}, want: illFormed3},
	// quic-go takes it for none.
	{name: "an empty length", fields: []string{":method", "POST", "content-length", ""}, data: []string{"hello"}, want: illFormed3 + "|200", check: asPOST("hello")},
	{name: "transfer-encoding: identity", fields: []string{"transfer-encoding", "identity"}, want: illFormed3},
	{name: "a host in another case", fields: []string{"host", "A.test"}, want: illFormed3 + "|200", check: having("host", "a.test")},
	{name: "a host with its port", fields: []string{"host", "a.test:443"}, want: illFormed3 + "|200", check: having("host", "a.test")},
	{name: "an empty host", fields: []string{"host", ""}, want: illFormed3},
	{name: "a protocol without CONNECT", fields: []string{":protocol", "websocket"}, want: illFormed3},
	{name: "a target with a space", fields: []string{":path", "ROW x"}, want: illFormed3},
	{name: "a target with a fragment", fields: []string{":path", "ROW#x"}, want: illFormed3},
	{name: "a field of the table of QPACK, in upper case", fields: []string{"Content-Type", "text/plain"}, want: illFormed3},
	{name: "DEL in a value", fields: []string{"x", "y\x7fz"}, want: illFormed3},
	{name: "a trailer section alone", fields: []string{":method", "POST"}, data: []string{}, trailers: []string{"x", "y"}, want: "200", check: asPOST("")},
}

func allSmuggles3() []smuggle2 {
	rows := slices.DeleteFunc(slices.Clone(smuggles2), func(row smuggle2) bool {
		return slices.ContainsFunc(smuggles3, func(other smuggle2) bool { return other.name == row.name })
	})
	return append(rows, smuggles3...)
}

// TestSmugglingHTTP3 has the same of HTTP/3, in which QPACK carries any byte.
func TestSmugglingHTTP3(t *testing.T) {
	t.Parallel()
	s, a, b := smugglers(t)
	clean, c := s.h2(t, on("a.test")), s.h3(t, on("a.test"))
	refused := map[string]string{}
	for i, test := range allSmuggles3() {
		t.Run(test.name, func(t *testing.T) {
			row, next := fmt.Sprintf("/row-%d-", i), fmt.Sprintf("/next-%d", i)
			want := strings.Split(strings.ReplaceAll(test.want, illFormed, illFormed3), "|")
			outcome := test.outcome3(t, c, row)
			if !slices.Contains(want, outcome) {
				t.Errorf("%s, want one of %q", outcome, want)
			}
			judgePassedOn(t, outcome, a.seen(row), test.check)
			if outcome != "200" {
				refused[row] = test.name
			}
			if r := c.get(t, "a.test", next); r.status != 200 || r.body != "GET "+next+" \n" {
				t.Errorf("the next request on the connection got %d %q %s", r.status, r.body, r.below)
			}
			if r := clean.get(t, "a.test", next); r.status != 200 || r.body != "GET "+next+" \n" {
				t.Errorf("the next client got %d %q", r.status, r.body)
			}
			a.check(t, "/row-", "/next-")
		})
	}
	// quic-go ends a stream before the gateway is done with the request.
	for row, name := range refused {
		if len(a.seen(row)) > 0 {
			t.Errorf("%s: refused, and passed on all the same, later", name)
		}
	}
	b.check(t)
}

// outcome3 sends the request on a stream of its own and says what came of it: the status, or the error that ended the stream.
func (test *smuggle2) outcome3(t *testing.T, c *h3, row string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	frames := rawh3.HeadersFrame(lines3(test.all(row)))
	for _, d := range test.data {
		frames = append(frames, rawh3.DataFrame(d)...)
	}
	if test.trailers != nil {
		frames = append(frames, rawh3.HeadersFrame(lines3(test.trailers))...)
	}
	stream.Raw(frames) // in one, so that nobody waits; an error is that the server has ended the stream meanwhile
	stream.End()
	w, err := stream.Response()
	switch reset, ok := errors.AsType[*quic.StreamError](err); {
	case ok && reset.Remote && reset.ErrorCode == rawh3.MessageError:
		return "H3_MESSAGE_ERROR"
	case err != nil:
		return err.Error()
	}
	return strconv.Itoa(w.Status)
}

func lines3(pairs []string) (fields []rawh3.Field) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, rawh3.Field{pairs[i], pairs[i+1]})
	}
	return fields
}
