package proxy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

var errGone = errors.New("the client is gone")

// RFC 9112 section 6.3: "If the sender closes the connection or the recipient times out before the indicated number of octets are
// received, the recipient MUST consider the message to be incomplete and close the connection." What is wrong with a request's content
// must never be made good by the next request's bytes.
func TestContentThatIsNotAsAnnounced(t *testing.T) {
	for _, test := range []struct {
		name   string
		length int64
		body   message.Body
		sent   string // behind the header section
		dials  int    // 1: nothing was written, and the connection serves the next request
	}{
		{"too short", 6, &pieces{left: []string{"hello"}}, "hello", 2},
		{"too long in one piece", 4, &pieces{left: []string{"hello"}}, "", 2},
		{"too long in two pieces", 4, &pieces{left: []string{"hell", "o"}}, "hell", 2},
		{"too short at hand", 6, &atHand{pieces{left: []string{"hello"}}}, "", 1},
		{"too long at hand", 4, &atHand{pieces{left: []string{"hello"}}}, "", 1},
		{"broken off", 6, &pieces{left: []string{"hello"}, err: errGone}, "hello", 2},
		{"broken off in chunks", -1, &pieces{left: []string{"hello"}, err: errGone}, "5\r\nhello\r\n", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
				head, _ := c.head()
				if strings.HasPrefix(head, "GET /second ") {
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
					c.head()
					return
				}
				if got, err := io.ReadAll(c); err != nil || head == "" || string(got) != test.sent {
					t.Errorf("sent %q behind %q (%v), want %q", got, head, err, test.sent)
				}
			})
			_, err := s.Do(new(Call), send("POST", test.length, test.body))
			if kind(err) != "body" {
				t.Errorf("the error is %v", err)
			}
			if want := strings.HasPrefix(test.name, "broken"); errors.Is(err, errGone) != want || errors.Is(err, ErrBodyLength) == want {
				t.Errorf("the cause is %v", err)
			}
			if got := answer(s.Do(new(Call), get("/second"))); got != `200 "second"` {
				t.Error(got)
			}
			if n := sc.dialled(); n != test.dials {
				t.Errorf("%d connections, want %d", n, test.dials)
			}
		})
	}
}

// A final answer before the content was sent is delivered, and the connection is not used again: nobody knows where the next request
// would begin.
func TestEarlyAnswer(t *testing.T) {
	body := newWaiting()
	s, sc := newScripted(t, Config{}, func(n int, c *peer) {
		c.head()
		c.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		if n == 1 {
			c.want("5\r\nhello\r\n")
		}
		c.head()
	})
	body.asked = make(chan struct{}, 9)
	res, err := s.Do(new(Call), send("POST", -1, body))
	if err != nil || res.Status != 413 {
		t.Fatal(res, err)
	}
	body.come <- "hello"
	<-body.asked
	<-body.asked // it was written, and more is waited for
	if got := answer(res, nil); got != `413 "big"` {
		t.Error(got)
	}
	select {
	case <-body.stopped:
	default:
		t.Error("Close has not stopped the content")
	}
	if got := answer(s.Do(new(Call), get("/"))); got != `413 "big"` || sc.dialled() != 2 {
		t.Error(got, sc.dialled())
	}
}

// Content goes both ways at once, as it comes.
func TestBothWaysAtOnce(t *testing.T) {
	body := newWaiting()
	s, sc := newScripted(t, Config{}, func(n int, c *peer) {
		for {
			if _, ok := c.head(); !ok {
				return
			}
			if n++; n == 3 {
				c.say(ok + "Content-Length: 5\r\n\r\nagain")
				continue
			}
			c.say(ok + chunked)
			for _, word := range []string{"one", "two"} {
				c.want("3\r\n" + word + "\r\n")
				c.say("4\r\n" + word + "!\r\n")
			}
			c.want("0\r\n\r\n")
			c.say("0\r\n\r\n")
		}
	})
	res, err := s.Do(new(Call), send("POST", -1, body))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16<<10)
	for _, word := range []string{"one", "two"} {
		body.come <- word
		if n, err := res.Read(buf); string(buf[:n]) != word+"!" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	close(body.come)
	if n, err := res.Read(buf); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	sentWhole(t, res)
	res.Close()
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "again"` || sc.dialled() != 1 {
		t.Error(got, sc.dialled())
	}
}

// An answer is handed on as it comes: Buffered says when to flush, and io.EOF comes with the last bytes where they are at hand.
func TestReadAsItComes(t *testing.T) {
	type step struct {
		say           string // what the server says before
		room          int
		want          string
		end           string // kind of the error
		before, after bool   // Buffered
	}
	for name, steps := range map[string][]step{
		"chunks": {
			{ok + chunked + "5\r\nhello\r\n3", 100, "hello", "", true, false},
			{"\r\nabc\r\n", 2, "ab", "", false, true},
			{"", 100, "c", "", true, false},
			{"0\r\n\r\n", 100, "", "EOF", false, true},
			{"", 100, "", "EOF", true, true},
		},
		"the end at hand":   {{ok + chunked + "2\r\nab\r\n0\r\n\r\n", 100, "ab", "EOF", true, true}},
		"two chunks":        {{ok + chunked + "2\r\nab\r\n2\r\ncd\r\n", 100, "abcd", "", true, false}},
		"a malformed chunk": {{ok + chunked + "2\r\nabX", 100, "ab", "malformed", true, true}, {"", 100, "", "malformed", true, true}},
		"length": {
			{ok + "Content-Length: 5\r\n\r\nab", 1, "a", "", true, true},
			{"", 9, "b", "", true, false},
			{"cde", 9, "cde", "EOF", false, true},
		},
		"until close": {{ok + "\r\nab", 9, "ab", "", true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			say := make(chan string)
			s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
				c.head()
				for words := range say {
					c.say(words)
				}
			})
			defer close(say)
			var res *Response
			for i, step := range steps {
				said := make(chan struct{})
				go func() {
					if step.say != "" {
						say <- step.say
					}
					close(said)
				}()
				if res == nil {
					var err error
					if res, err = s.Do(new(Call), get("/")); err != nil {
						t.Error(err)
						return
					}
					defer res.Close()
				}
				<-said
				if got := res.Buffered(); got != step.before {
					t.Errorf("step %d: before it Buffered is %v", i, got)
				}
				buf := make([]byte, step.room)
				n, err := res.Read(buf)
				end := ""
				if err != nil {
					end = kind(err)
				}
				if string(buf[:n]) != step.want || end != step.end {
					t.Errorf("step %d: %q, %v, want %q, %v", i, buf[:n], err, step.want, step.end)
				}
				if got := res.Buffered(); got != step.after {
					t.Errorf("step %d: after it Buffered is %v", i, got)
				}
			}
		})
	}
}

// Large contents of all kinds come through as they are, and the connection stays in step.
func TestLargeContents(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
		for {
			head, okay := c.head()
			if !okay {
				return
			}
			var got []byte
			if strings.Contains(head, "chunked") {
				got = readChunks(c)
			} else {
				got = make([]byte, len(content))
				io.ReadFull(c, got)
			}
			if !bytes.Equal(got, content) {
				t.Errorf("%d bytes came, and not the right ones", len(got))
			}
			if strings.HasPrefix(head, "PUT") {
				c.say(ok + "Content-Length: 320000\r\n\r\n" + string(content))
				continue
			}
			c.say(ok + chunked)
			for rest := content; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)*7%20_000)
				c.say(strings.ToUpper(hexOf(n)) + "\r\n" + string(rest[:n]) + "\r\n")
				rest = rest[n:]
			}
			c.say("0\r\n\r\n")
		}
	})
	for _, method := range []string{"PUT", "POST"} {
		for _, length := range []int64{int64(len(content)), -1} {
			for _, size := range []int{100, 4 << 10, 50_000, 1 << 20} {
				var body message.Body = &pieces{left: []string{string(content)}}
				if size == 100 {
					body = &atHand{pieces{left: []string{string(content)}}}
				}
				res, err := s.Do(new(Call), send(method, length, body))
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{res}, make([]byte, size)); err != nil {
					t.Error(err)
				}
				sentWhole(t, res)
				res.Close()
				if !bytes.Equal(got.Bytes(), content) {
					t.Errorf("%s %d, read by %d: %d bytes, and not the right ones", method, length, size, got.Len())
				}
			}
		}
	}
	if n := sc.dialled(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func hexOf(n int) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return digits[n : n+1]
	}
	return hexOf(n/16) + digits[n%16:n%16+1]
}

// readChunks is a decoder of its own: sizes, data, nothing else.
func readChunks(c *peer) (content []byte) {
	for {
		line, err := c.ReadString('\n')
		if err != nil {
			return content
		}
		n := 0
		for _, d := range strings.TrimSuffix(line, "\r\n") {
			n = n*16 + strings.IndexRune("0123456789abcdef", d)
		}
		data := make([]byte, n+2)
		io.ReadFull(c, data)
		if string(data[n:]) != "\r\n" {
			return nil
		}
		if n == 0 {
			return content
		}
		content = append(content, data[:n]...)
	}
}
