package proxy

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// numbered answers with the number of the connection.
func numbered(n int, c *peer) {
	for {
		if _, ok := c.head(); !ok {
			return
		}
		c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n))
	}
}

// open sends requests at the same time, so that each has a connection of its own, and returns their answers in the order in which the
// connections were made.
func open(t *testing.T, s *Server, n int) (answers []*Response) {
	t.Helper()
	for range n {
		res, err := s.Do(new(Call), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, res)
	}
	return answers
}

// The connection that was used last is used next, so that those that are not needed grow old.
func TestLastUsedFirst(t *testing.T) {
	s, sc := newScripted(t, Config{}, numbered)
	answers := open(t, s, 3)
	for _, i := range []int{1, 0, 2} {
		if got, want := answer(answers[i], nil), fmt.Sprintf("200 %q", fmt.Sprint(i+1)); got != want {
			t.Error(got, want)
		}
	}
	answers = open(t, s, 3)
	for i, want := range []string{`200 "3"`, `200 "1"`, `200 "2"`} {
		if got := answer(answers[i], nil); got != want {
			t.Error(got, want)
		}
	}
	if n := sc.dialled(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

func TestMaxIdle(t *testing.T) {
	s, sc := newScripted(t, Config{MaxIdle: 2}, numbered)
	for _, res := range open(t, s, 3) {
		answer(res, nil)
	}
	for _, res := range open(t, s, 3) {
		answer(res, nil)
	}
	if n := sc.dialled(); n != 4 {
		t.Errorf("%d connections, want 3 and one more, since two were kept", n)
	}
}

// A connection that rests for KeepIdle is closed then, whether it is asked for or not.
func TestKeepIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan time.Duration, 3)
		began := time.Now()
		s, sc := newPiped(t, Config{KeepIdle: 10 * time.Second}, func(n int, c *peer) {
			numbered(n, c)
			closed <- time.Since(began)
		})
		answers := open(t, s, 2)
		answer(answers[0], nil)
		time.Sleep(4 * time.Second)
		answer(answers[1], nil)
		time.Sleep(20 * time.Second)
		if first, second := <-closed, <-closed; first != 10*time.Second || second != 14*time.Second {
			t.Errorf("closed after %v and %v", first, second)
		}
		if got := answer(s.Do(new(Call), get("/"))); got != `200 "3"` || sc.dialled() != 3 {
			t.Error(got, sc.dialled())
		}
	})
}

// An answer that is not read to its end takes its connection with it; one whose rest is at hand does not.
func TestUnreadAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		say   string
		dials int
	}{
		"at hand":                {hello, 1},
		"chunks at hand":         {ok + chunked + "2\r\nab\r\n3\r\ncde\r\n0\r\nx: y\r\n\r\n", 1},
		"not all at hand":        {ok + "Content-Length: 6\r\n\r\nhello", 2},
		"not all chunks at hand": {ok + chunked + "2\r\nab\r\n3\r\ncde\r\n0\r\n", 2},
		"malformed":              {ok + chunked + "2\r\nabX", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
				c.head()
				c.say(test.say)
				if _, ok := c.head(); ok {
					c.say(hello)
				}
				c.head()
			})
			res, err := s.Do(new(Call), get("/"))
			if err != nil {
				t.Fatal(err)
			}
			res.Close()
			second, err := s.Do(new(Call), get("/"))
			if err != nil {
				t.Fatal(err)
			}
			second.Close()
			if n := sc.dialled(); n != test.dials {
				t.Errorf("%d connections, want %d", n, test.dials)
			}
		})
	}
}
