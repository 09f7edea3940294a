package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// trio is a rotation of three servers that can be taken down.
func trio(t *testing.T) (ro *Rotation, down []bool) {
	down = make([]bool, 3)
	var servers []*Server
	for i := range 3 {
		s, _ := newPiped(t, Config{}, func(_ int, c *peer) { numbered(i, c) })
		dial := s.config.Dial
		s.config.Address = fmt.Sprint("server", i)
		s.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if down[i] {
				return nil, errors.New("refused")
			}
			return dial(ctx, network, address)
		}
		servers = append(servers, s)
	}
	return NewRotation(servers...), down
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ro, down := trio(t)
		ask := func() (got string, passed []string) {
			call := Call{PassedOver: func(s *Server, err error) {
				passed = append(passed, s.Address())
				if kind(err) != "connect" {
					t.Error(err)
				}
			}}
			res, s, err := ro.Do(&call, get("/"))
			if err != nil {
				return kind(err) + " " + s.Address(), passed
			}
			defer res.Close()
			content, _ := io.ReadAll(res)
			if s.Address() != "server"+string(content) {
				t.Errorf("%s has answered as %s", content, s.Address())
			}
			return string(content), passed
		}
		want := func(want string, passed ...string) {
			t.Helper()
			if got, over := ask(); got != want || !slices.Equal(over, passed) {
				t.Errorf("%s, passed over %v, want %s, %v", got, over, want, passed)
			}
		}
		want("0")
		want("1")
		want("2")
		want("0")
		ro.CloseIdle()
		down[1] = true
		want("2", "server1")
		want("2")
		want("0")
		want("2") // the turn of server1, which is passed over
		time.Sleep(passOver + time.Millisecond)
		want("2")
		want("0")
		want("2", "server1") // it is tried again
		down[0], down[2] = true, true
		ro.CloseIdle()
		want("connect server1", "server2", "server0") // those that are down come last
		down[1] = false
		want("1", "server0")
		want("1")
	})
}

// Only a connection that could not be made leads to the next server: whatever else goes wrong, the request may have been carried out.
func TestRotationStaysWithAServerThatFails(t *testing.T) {
	first, _ := newScripted(t, Config{}, func(_ int, c *peer) { c.head() })
	second, sc := newScripted(t, Config{}, numbered)
	res, s, err := NewRotation(first, second).Do(new(Call), get("/"))
	if kind(err) != "closed" || res != nil || s != first || sc.dialled() != 0 {
		t.Error(res, s.Address(), err, sc.dialled())
	}
}

// The count of requests goes round, and is larger than an int where that has 32 bits.
func TestRotationOfManyRequests(t *testing.T) {
	ro := NewRotation(NewServer(Config{Address: "a:1"}), NewServer(Config{Address: "b:1"}), NewServer(Config{Address: "c:1"}))
	for _, n := range []uint32{1 << 31, 1<<32 - 2} {
		ro.next.Store(n)
		for range 4 {
			if got := len(ro.order(nil)); got != 3 {
				t.Errorf("%d servers", got)
			}
		}
	}
}
