package proxy

import (
	"testing"
	"time"
)

// stand makes the connection of a server stand. What it asks for is a GET of /.
func stand(t *testing.T, s *Server) *Rotation {
	t.Helper()
	ro := NewRotation(s)
	a := make(told, 1)
	if ro.Begin(new(Call), get("/"), a) {
		t.Fatal("a request is begun without a connection")
	}
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` {
		t.Fatal(got)
	}
	if n := standing(s); n != 1 {
		t.Fatalf("%d connections stand", n)
	}
	return ro
}

func standing(s *Server) int {
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	return len(s.home.standing)
}

// awaitStanding waits until so many connections stand: one that has answered does when the Asker has returned.
func awaitStanding(t *testing.T, s *Server, want int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); standing(s) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d connections stand, want %d", standing(s), want)
		}
	}
}

// A server that closes an idle connection, or says something there, is noticed when it does.
func TestStandingConnectionThatEnds(t *testing.T) {
	for name, say := range map[string]string{"closed": "", "a new answer": ok + "Content-Length: 4\r\n\r\nevil", "one byte": "\n"} {
		t.Run(name, func(t *testing.T) {
			now := make(chan struct{})
			s, sc := newScripted(t, Config{}, func(n int, c *peer) {
				c.head()
				c.say(hello)
				if n > 1 {
					c.head()
					return
				}
				<-now
				if say != "" {
					c.say(say)
					c.head()
				}
			})
			ro := stand(t, s)
			close(now)
			awaitStanding(t, s, 0)
			if a := make(told, 1); ro.Begin(new(Call), get("/"), a) {
				t.Fatal("begun on what is no connection any more:", <-a)
			}
			if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "hello"` || sc.dialled() != 2 {
				t.Error(got, sc.dialled())
			}
		})
	}
}

func numberedHello(_ int, c *peer) {
	for {
		if _, okay := c.head(); !okay {
			return
		}
		c.say(hello)
	}
}

// Connections that nobody will ask for go, with their goroutines: at once where they are idle, behind the answer where they are not.
func TestStandingRetires(t *testing.T) {
	asked, say := make(chan struct{}), make(chan struct{})
	s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
		c.head()
		c.say(hello)
		if _, okay := c.head(); okay {
			close(asked)
			<-say
			c.say(hello)
			c.head()
		}
	})
	ro := stand(t, s)
	s.home.mu.Lock()
	one := s.home.standing[0].stander
	s.home.mu.Unlock()
	a := make(told, 1)
	if !ro.Begin(new(Call), get("/"), a) {
		t.Fatal("not begun")
	}
	<-asked
	s.Retire()
	close(say)
	if got := <-a; got != `200 "hello"` {
		t.Error(got)
	}
	<-one.gone

	s, _ = newScripted(t, Config{}, numberedHello)
	stand(t, s)
	s.home.mu.Lock()
	one = s.home.standing[0].stander
	s.home.mu.Unlock()
	s.CloseIdle()
	<-one.gone
	if n := standing(s); n != 0 {
		t.Errorf("%d connections stand", n)
	}
}

// MaxIdle counts those that stand, too.
func TestMaxStanding(t *testing.T) {
	s, sc := newScripted(t, Config{MaxIdle: 1}, numberedHello)
	ro := stand(t, s)
	s.home.mu.Lock()
	first := s.home.standing[0].stander
	s.home.mu.Unlock()
	hold := make(chan struct{})
	if !ro.Begin(new(Call), get("/"), answered(func(res *Response, _ *Server, _ error) {
		hold <- struct{}{}
		<-hold
		res.Close()
	})) {
		t.Fatal("not begun")
	}
	<-hold
	ro.Begin(new(Call), get("/"), make(told, 1)) // so that the next one stands
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` || sc.dialled() != 2 || standing(s) != 1 {
		t.Fatal(got, sc.dialled(), standing(s))
	}
	close(hold)
	<-first.gone
	if n := standing(s); n != 1 {
		t.Errorf("%d connections stand", n)
	}
}
