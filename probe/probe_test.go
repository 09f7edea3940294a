package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// listen serves each connection with f on a port of loopback.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(30 * time.Second))
				f(c)
			}()
		}
	}()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func loopback(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// unhurried is for what no limit of time is to end.
var unhurried = wire.Limits{Connect: 30 * time.Second, Answer: 30 * time.Second}

// Among servers that do everything wrong, those that work are probed, and nothing stalls or crashes.
func TestHostileServers(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "*.test")}, NextProtos: []string{"h2", "http/1.1"}}
	answering := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, config)
			if s.Handshake() == nil {
				io.WriteString(s, text)
				io.Copy(io.Discard, s)
			}
		}
	}
	var visits atomic.Int32
	ports := map[string]string{
		"hang.test":    listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }),
		"reset.test":   listen(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }),
		"plain.test":   listen(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }),
		"garbage.test": listen(t, answering("\x00\xff garbage \r\n\r\n")),
		"silent.test":  listen(t, answering("")),
		"endless.test": listen(t, answering("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 4<<20))),
		"leaves.test": listen(t, func(c net.Conn) { // works at first, and goes away in the middle
			if visits.Add(1) > 2 {
				return
			}
			answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(c)
		}),
		"refused.test": "1",
		"good.test":    fmt.Sprint(site(t)),
	}
	var targets []Target
	for name, port := range ports {
		target, err := ParseTarget(name + ":" + port)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	want := map[string]string{"hang.test": "timeout", "reset.test": "closed", "plain.test": "not-tls", "refused.test": "refused",
		"garbage.test": "garbage", "silent.test": "timeout"} // a handshake alone does not make a host that can be reached
	patiently(t, time.Second, func(limit time.Duration) (wrong string) {
		visits.Store(0)
		began := time.Now()
		r, err := Probe(t.Context(), targets, Options{Protocols: []wire.Protocol{wire.H1, wire.H2}, TargetRate: -1, Parallel: 4, Resolve: loopback,
			Limits: wire.Limits{Connect: limit, Answer: limit}})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 40*limit {
			wrong += fmt.Sprintf("it took %v\n", took)
		}
		for i := range r.Hosts {
			h := &r.Hosts[i]
			name, _, _ := strings.Cut(h.Name, ":")
			if word := want[name]; (word == "") != (h.Unreachable == "") || !strings.HasPrefix(h.Unreachable, word) {
				wrong += fmt.Sprintf("%s: %q, want %q\n", name, h.Unreachable, word)
			}
			if name == "good.test" && (len(h.Protocols) != 2 || h.Protocols[0].Status != 200 || h.Protocols[1].Status != 200) {
				wrong += fmt.Sprintf("good.test: %+v\n", h.Protocols)
			}
		}
		return wrong
	})
}

// patiently tries something whose limit of time is too short for a slow machine again with longer ones, and fails with what is wrong then.
func patiently(t *testing.T, limit time.Duration, try func(limit time.Duration) (wrong string)) {
	t.Helper()
	for ; ; limit *= 4 {
		wrong := try(limit)
		if wrong == "" {
			return
		}
		if limit > 10*time.Second {
			t.Fatal(wrong)
		}
		t.Logf("with a limit of %v: %s", limit, wrong)
	}
}

// One connection to an address at a time, requests no faster than asked for, and nothing but GET and OPTIONS *.
func TestManners(t *testing.T) {
	var open, most, requests atomic.Int32
	var methods atomic.Value
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method != "GET" && !(r.Method == "OPTIONS" && r.RequestURI == "*") || r.UserAgent() != "test" || r.URL.Path != "/x" && r.Method == "GET" {
			methods.Store(r.Method + " " + r.RequestURI + " " + r.UserAgent())
		}
		io.WriteString(w, r.Host)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "*.test")}},
		ErrorLog: discard, DisableGeneralOptionsHandler: true,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				// The end of one may be seen behind the begin of the next, which is made to wait for it.
				n := open.Add(1)
				for end := time.Now().Add(10 * time.Second); n > 1 && time.Now().Before(end); n = open.Load() {
					time.Sleep(time.Millisecond)
				}
				most.Store(max(most.Load(), n))
			case http.StateClosed:
				open.Add(-1)
			}
		}}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	const rate = 200
	o := Options{Protocols: []wire.Protocol{wire.H1}, TargetRate: rate, Resolve: loopback, UserAgent: "test", Path: "/x", Limits: unhurried}
	var targets []Target
	for _, name := range []string{"a.test", "b.test"} {
		target, err := ParseTarget(fmt.Sprintf("%s:%d", name, l.Addr().(*net.TCPAddr).Port))
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	began := time.Now()
	if _, err := Probe(t.Context(), targets, o); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if least := time.Duration(requests.Load()-1) * time.Second / rate; took < least || requests.Load() < 10 {
		t.Errorf("%d requests in %v, at most %d a second are allowed", requests.Load(), took, rate)
	}
	if most.Load() > 1 {
		t.Errorf("%d connections at a time", most.Load())
	}
	if odd := methods.Load(); odd != nil {
		t.Errorf("a request %q", odd)
	}
}

// A run that is called off ends at once.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	port := listen(t, func(c net.Conn) {
		cancel()
		io.Copy(io.Discard, c)
	})
	target, err := ParseTarget("a.test:" + port)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = Probe(ctx, []Target{target}, Options{Resolve: loopback, Limits: wire.Limits{Connect: time.Minute}})
	if err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// The names of certificates are probed, too, on the same port; wildcards name nobody.
func TestFromCert(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: discard,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "a.test", "b.test", "*.c.test")}}}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	target, err := ParseTarget(fmt.Sprintf("a.test:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Probe(t.Context(), []Target{target}, Options{FromCert: true, Protocols: []wire.Protocol{wire.H2}, TargetRate: -1, Resolve: loopback, Limits: unhurried})
	if err != nil || len(r.Hosts) != 2 || r.Hosts[1].Name != fmt.Sprintf("b.test:%d", port) || len(r.Pairs) != 2 {
		t.Errorf("%v, %+v", err, r.Hosts)
	}
}

// An address where nobody answers is given up after three tries, however many hosts are there, and does not hold up the others.
func TestDownAddress(t *testing.T) {
	var visits atomic.Int32
	port := listen(t, func(c net.Conn) {
		visits.Add(1)
		io.Copy(io.Discard, c)
	})
	good := site(t)
	var targets []Target
	for i := range 20 {
		target, err := ParseTarget(fmt.Sprintf("h%d.test:%s", i, port))
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	target, err := ParseTarget(fmt.Sprintf("good.test:%d", good))
	if err != nil {
		t.Fatal(err)
	}
	patiently(t, 300*time.Millisecond, func(limit time.Duration) string {
		visits.Store(0)
		r, err := Probe(t.Context(), append(targets, target), Options{Protocols: []wire.Protocol{wire.H1, wire.H2}, TargetRate: -1, Resolve: loopback,
			Limits: wire.Limits{Connect: limit}})
		if err != nil || r.Summary.Unreachable != 20 || r.Hosts[20].Unreachable != "" {
			return fmt.Sprintf("%v, %+v", err, r.Summary)
		}
		if n := visits.Load(); n != mostFails {
			return fmt.Sprintf("%d tries", n)
		}
		if !strings.HasPrefix(r.Hosts[19].Unreachable, "timeout") {
			return fmt.Sprintf("the last one: %q", r.Hosts[19].Unreachable)
		}
		return ""
	})
}
