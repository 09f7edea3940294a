package gateway

import (
	"crypto/tls"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A driven is a gateway one of whose servers a test has in hand. It has a port of its own.
type driven struct {
	*running
	srv  *tcpServer
	addr string
	in   net.Listener
}

// drive serves the listener called tls, or the one that is named.
func drive(t *testing.T, text string, name ...string) *driven {
	t.Helper()
	r := newFolder(t).start(t, text)
	d := &driven{running: r}
	i := slices.IndexFunc(r.listeners, func(l *listener) bool { return l.name == strings.Join(append(name, "tls")[:1], "") })
	d.srv = newTCPServer(r.listeners[i])
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr, d.in = in.Addr().String(), in
	go d.srv.serve(ownPort{in, r.listeners[i]})
	t.Cleanup(func() {
		in.Close()
		<-d.srv.done
		d.srv.close()
		d.wantNothingLeft(t)
	})
	return d
}

type ownPort struct {
	net.Listener
	l *listener
}

func (p ownPort) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return p.l.newConn(c), nil
}

// serving matches goroutines that serve a connection or a request.
var serving = regexp.MustCompile(`gateway\.\(\*(h2conn|h1conn|h2exchange|exchange|tcpServer|upstream)\)|proxy\.\(\*(sender|Server)\)`)

// inHand returns the stacks of goroutines that serve.
func inHand() (stacks []string) {
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if serving.MatchString(g) && !strings.Contains(g, "net.(*TCPListener).Accept") && !strings.Contains(g, "testing.tRunner(") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// wantNothingLeft is the end of every test: no goroutine, connection, request or byte of content stays behind.
func (d *driven) wantNothingLeft(t *testing.T) {
	t.Helper()
	left := func() string {
		d.srv.mu.Lock()
		conns := len(d.srv.conns) + len(d.srv.young)
		d.srv.mu.Unlock()
		d.flights.mu.Lock()
		flights := d.flights.count
		d.flights.mu.Unlock()
		counted := d.metric(t, "usher_connections", "proto=h2") + d.metric(t, "usher_connections", "proto=h1") +
			d.metric(t, "usher_connections", "proto=none")
		stacks := inHand()
		if conns == 0 && flights == 0 && counted == 0 && d.budget.held.Load() == 0 && len(stacks) == 0 {
			return ""
		}
		return strconv.Itoa(conns) + " connections (" + strconv.Itoa(int(counted)) + " counted), " + strconv.Itoa(flights) + " requests, " +
			strconv.FormatInt(d.budget.held.Load(), 10) + " bytes, goroutines:\n" + strings.Join(stacks, "\n\n")
	}
	var what string
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		if what = left(); what == "" {
			return
		}
	}
	t.Errorf("left behind: %s", what)
}

// goroutinesIn counts those that are in a function, and whose stack says something else.
func goroutinesIn(function, more string) (n int) {
	for _, g := range inHand() {
		if strings.Contains(g, function) && strings.Contains(g, more) {
			n++
		}
	}
	return n
}

// conn returns the only connection.
func (d *driven) conn(t *testing.T) *h2conn {
	t.Helper()
	var c *h2conn
	eventually(t, "there is one connection", func() bool {
		d.srv.mu.Lock()
		defer d.srv.mu.Unlock()
		for one := range d.srv.conns {
			c, _ = one.(*h2conn)
		}
		return len(d.srv.conns) == 1
	})
	return c
}

// wire connects to the site a, and sends preface and SETTINGS.
func (d *driven) wire(t *testing.T, settings ...http2.Setting) *wire {
	t.Helper()
	return d.wireTo(t, &tls.Config{ServerName: "a.test.example"}, settings...)
}

func (d *driven) wireTo(t *testing.T, tc *tls.Config, settings ...http2.Setting) *wire {
	t.Helper()
	return newWire(t, d.secured(t, tc), settings...)
}

// dial connects without TLS.
func (d *driven) dial(t *testing.T) net.Conn {
	t.Helper()
	tcp, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	tcp.SetDeadline(time.Now().Add(2 * patience))
	return tcp
}

// secured connects to the site a, and says nothing yet.
func (d *driven) secured(t *testing.T, config ...*tls.Config) *tls.Conn {
	t.Helper()
	tc := append(config, &tls.Config{ServerName: "a.test.example"})[0]
	tc.RootCAs, tc.NextProtos = d.folder.ca.Pool(), []string{"h2"}
	nc := tls.Client(d.dial(t), tc)
	if err := nc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return nc
}

// mixed is a site with every kind of route; what is below / goes to the upstream.
func mixed(upstream string) string {
	return `
listeners:
  - {name: tls, address: "127.0.0.1:0", public_ports: [443], protocols: [h1, h2]}
  - {name: plain, address: "127.0.0.1:0", scheme: http, public_ports: [80], protocols: [h1, h2]}
sites:
  - name: a
    hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    http: serve
    routes:
      - {path: /, upstream: "` + upstream + `"}
      - {path: /fixed, respond: {body: "fixed\n"}}
      - {path: /moved, redirect: {to: "https://elsewhere.example/"}}
  - name: b
    hosts: [b.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /b, respond: {body: "site b\n"}}]
  - name: own
    hosts: [own.test.example]
    tls: {certificates: [{certificate: own.pem, key: own.key}]}
    routes: [{path: /, respond: {body: "site own\n"}}]
`
}
