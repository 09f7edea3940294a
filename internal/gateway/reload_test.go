package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/rawh2"
	"github.com/usher-http/usher/internal/testenv"
)

func (r *running) reloadText(t *testing.T, text string) {
	t.Helper()
	if err := r.Reload(r.folder.load(t, text)); err != nil {
		t.Fatal(err)
	}
}

func TestReloadKeepsSocketsAndConnections(t *testing.T) {
	r := newFolder(t).start(t, basic)
	clients := map[string]*client{}
	for _, proto := range protocols {
		clients[proto] = r.client(t, proto, "tls", "a.test.example")
		clients[proto].get(t, "a.test.example", "/").want(t, 200, "site a")
	}
	before := r.Addresses()
	r.reloadText(t, strings.Replace(basic, "site a", "new a", 1))
	for proto, c := range clients {
		c.get(t, "a.test.example", "/").want(t, 200, "new a")
		if n := c.open.count(); n != 1 {
			t.Errorf("%s: %d connections, want 1", proto, n)
		}
	}
	for i, a := range r.Addresses() {
		if a.Addr != before[i].Addr {
			t.Errorf("%v became %v", before[i], a)
		}
	}
	r.wantMetric(t, 1, "usher_reloads_total", "result=ok")
}

// New rules meet old facts: a connection is judged by the new table against what its own handshake proved.
func TestReloadJudgesOldConnections(t *testing.T) {
	// With ORIGIN frames the connection would be told to go away.
	basic := strings.Replace(basic, "public_ports: [443]", "public_ports: [443], origin_frame: never", 1)
	r := newFolder(t).start(t, basic)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			c.get(t, "b.test.example", "/b").want(t, 200, "site b")
			r.reloadText(t, strings.Replace(basic, "  - name: b\n", "  - name: b\n    coalesce: false\n", 1))
			c.get(t, "b.test.example", "/b").want(t, 421, "")
			c.get(t, "a.test.example", "/").want(t, 200, "site a")
			r.reloadText(t, basic)
			c.get(t, "b.test.example", "/b").want(t, 200, "site b")
			if n := c.open.count(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	f := newFolder(t)
	text := basic + "\nadmin: {address: \"127.0.0.1:0\"}\n"
	r := f.start(t, text)
	c := r.client(t, "h2", "tls", "a.test.example")
	c.get(t, "a.test.example", "/").want(t, 200, "site a")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, _ := net.Listen("tcp", testenv.LoopbackAny(t))
	free.Close()
	for name, test := range map[string]struct{ text, want string }{
		"port in use": {strings.Replace(text, "sites:", "  - {name: free, scheme: http, address: "+free.Addr().String()+"}\n"+
			"  - {name: taken, scheme: http, address: "+taken.Addr().String()+"}\nsites:", 1), "address already in use"},
		"admin": {basic, "admin.address cannot change"},
		"state": {text + "state: ./elsewhere\n", "state cannot change"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Reload(f.load(t, strings.ReplaceAll(test.text, "site a", "new a")))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			c.get(t, "a.test.example", "/").want(t, 200, "site a")
		})
	}
	if n := c.open.count(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if again, err := net.Listen("tcp", free.Addr().String()); err != nil {
		t.Errorf("a failed reload left a socket: %v", err)
	} else {
		again.Close()
	}
	r.log.wait(t, "msg", "reload failed, the old configuration stays")
	if r.metric(t, "usher_reloads_total", "result=error") < 3 {
		t.Error("failed reloads are not counted")
	}
}

func TestReloadAddsAndRemovesListeners(t *testing.T) {
	asked, up := make(chan struct{}, 1), make(chan struct{})
	server := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-up
		io.WriteString(w, "slow")
	})
	f := newFolder(t)
	slow := strings.Replace(basic, `respond: {body: "site a\n", headers: {x-site: a}}`, "upstream: "+server.URL, 1)
	r := f.start(t, slow)
	c := r.client(t, "h1", "plain", "")
	inFlight := make(chan answer, 1)
	req := c.request(t, "GET", "a.test.example", "/", nil)
	go func() { inFlight <- c.do(t, req) }()
	wait(t, "the request", asked) // one that is only counted would still be decided by the new table

	old := r.addr(t, "plain")
	added := strings.Replace(basic, "name: plain", "name: second", 1)
	r.reloadText(t, added)
	eventually(t, "the removed port is closed", func() bool {
		conn, err := net.Dial("tcp", old)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	r.client(t, "h1", "second", "").get(t, "a.test.example", "/").want(t, 200, "site a")
	close(up)
	wait(t, "the answer in flight", inFlight).want(t, 200, "slow")
	for _, a := range r.Addresses() {
		if a.Listener == "plain" {
			t.Errorf("still there: %v", a)
		}
	}
}

// A server with other settings takes the port over: nobody is turned away, and the old server drains.
func TestReloadHandsThePortOn(t *testing.T) {
	f := newFolder(t)
	// The UDP port is let go of and taken again.
	basic := strings.ReplaceAll(basic, "127.0.0.1:0", testenv.LoopbackAny(t))
	r := f.start(t, basic)
	c := r.client(t, "h1", "tls", "a.test.example")
	c.get(t, "a.test.example", "/").want(t, 200, "")
	before := r.addr(t, "tls")
	r.reloadText(t, basic+"\ntimeouts: {idle: 33s}\n")
	if after := r.addr(t, "tls"); after != before {
		t.Fatalf("port changed from %s to %s", before, after)
	}
	r.log.wait(t, "msg", "changed time-outs take effect for HTTP/3 with the next start", "listener", "tls")
	fresh := r.client(t, "h2", "tls", "a.test.example")
	fresh.get(t, "a.test.example", "/").want(t, 200, "")
	r.client(t, "h3", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	r.reloadText(t, strings.Replace(basic, "public_ports: [443]", "public_ports: [443], protocols: [h1]", 1))
	if addresses := r.Addresses(); len(addresses) != 2 {
		t.Errorf("addresses %v", addresses)
	}
	r.client(t, "h1", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	eventually(t, "the UDP port is free", func() bool { return r.Reload(f.load(t, basic)) == nil })
	r.client(t, "h3", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
}

// The connections of HTTP/3 live on the UDP socket. Who wants it back while they end is told so, and not to look for a stranger.
func TestReloadWhileAnH3ListenerDrains(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
	})
	end := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(end)
	f := newFolder(t)
	text := strings.ReplaceAll(basic, "127.0.0.1:0", testenv.LoopbackAny(t))
	text = strings.Replace(text, `respond: {body: "site a\n", headers: {x-site: a}}`, "upstream: "+up.URL, 1)
	r := f.start(t, text)
	c := r.client(t, "h3", "tls", "a.test.example")
	req := c.request(t, "GET", "a.test.example", "/", nil)
	inFlight := make(chan struct{})
	go func() {
		c.do(t, req)
		close(inFlight)
	}()
	wait(t, "the request", asked)
	r.reloadText(t, strings.Replace(text, "public_ports: [443]", "public_ports: [443], protocols: [h1]", 1))
	err := r.Reload(f.load(t, text))
	if err == nil || !strings.Contains(err.Error(), "still end there; reload again") || strings.Contains(err.Error(), "ss -l") {
		t.Errorf("error %v", err)
	}
	end()
	wait(t, "the answer in flight", inFlight)
	eventually(t, "the UDP port is free", func() bool { return r.Reload(f.load(t, text)) == nil })
}

func TestReloadRefusesToRenameAnH3Listener(t *testing.T) {
	f := newFolder(t)
	probe, err := net.Listen("tcp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	probe.Close()
	text := strings.Replace(basic, `"127.0.0.1:0", public_ports: [443]`, `"`+probe.Addr().String()+`", public_ports: [443]`, 1)
	r := f.start(t, text)
	renamed := strings.Replace(text, "name: tls", "name: new", 1)
	if err := r.Reload(f.load(t, renamed)); err == nil || !strings.Contains(err.Error(), "cannot be renamed") {
		t.Errorf("error %v", err)
	}
	r.client(t, "h3", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	// Without HTTP/3 the port is handed on under the new name.
	r.reloadText(t, strings.Replace(renamed, "public_ports: [443]", "public_ports: [443], protocols: [h1, h2]", 1))
	r.client(t, "h2", "new", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
}

func TestReloadDuringARequest(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			asked, answer := make(chan struct{}, 1), make(chan struct{})
			up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
				asked <- struct{}{}
				<-answer
				io.WriteString(w, "from before")
			})
			r := newFolder(t).start(t, proxied(up))
			c := r.client(t, proto, "tls", "a.test.example")
			got := make(chan string, 1)
			req := c.request(t, "GET", "a.test.example", "/", nil)
			go func() { got <- c.do(t, req).text }()
			wait(t, "the request", asked)
			r.reloadText(t, basic)
			close(answer)
			if text := wait(t, "the answer", got); text != "from before" {
				t.Errorf("answer %q", text)
			}
			c.get(t, "a.test.example", "/").want(t, 200, "site a")
		})
	}
}

func TestLastGoodConfiguration(t *testing.T) {
	f := newFolder(t)
	r := f.start(t, basic)
	path := filepath.Join(f.dir, "state", LastGoodFile)
	want := func(text string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil || string(data) != text {
			t.Errorf("kept %q, %v", data, err)
		}
	}
	want(basic)
	changed := strings.Replace(basic, "site a", "new a", 1)
	r.reloadText(t, changed)
	want(changed)
	if err := r.Reload(f.load(t, basic+"state: ./other\n")); err == nil {
		t.Fatal("reloaded")
	}
	want(changed)
}

func TestReloadAfterShutdown(t *testing.T) {
	f := newFolder(t)
	r := f.start(t, basic)
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(f.load(t, basic)); err == nil {
		t.Error("reloaded")
	}
}

// The table knows nothing of a listener that is gone, and a plaintext connection has no facts: no request on it is decided.
func TestPlaintextConnectionsOfAListenerThatIsGone(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := r.client(t, "h1", "plain", "")
	c.get(t, "a.test.example", "/").want(t, 200, "")
	r.listeners[1].gone.Store(true)
	a := c.get(t, "a.test.example", "/").want(t, 503, "")
	if !a.Close {
		t.Error("the connection stays")
	}
	r.listeners[1].gone.Store(false)
	r.reloadText(t, basic)
	if r.listeners[1].gone.Load() {
		t.Error("a listener that stays is gone")
	}
	door := r.listeners[1].door
	r.reloadText(t, strings.Replace(basic, "name: plain", "name: second", 1))
	if !door.gone.Load() {
		t.Error("a listener that went is not gone")
	}
}

// Those that rest are told as well, and nobody else is.
func TestReloadTellsConnectionsThatAdvertisedTooMuch(t *testing.T) {
	f := newFolder(t)
	r := f.start(t, basic)
	open := func(sni string) *rawh2.Conn {
		nc, err := tls.Dial("tcp", r.addr(t, "tls"), &tls.Config{ServerName: sni, RootCAs: f.ca.Pool(), NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		c, err := rawh2.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := c.Do(rawh2.Get("https", sni, "/"), nil); err != nil || res.Status != 200 {
			t.Fatal(res, err)
		}
		return c
	}
	misled, other := open("a.test.example"), open("own.test.example")
	r.reloadText(t, strings.Replace(basic, "site own", "new own", 1))
	if err := misled.Ping(); err != nil || misled.GoneAway() != nil {
		t.Fatalf("after a reload that takes nothing away: %v, %v", misled.GoneAway(), err)
	}
	r.reloadText(t, strings.Replace(basic, "  - name: b\n", "  - name: b\n    coalesce: false\n", 1))
	if g, err := misled.WaitGoAway(); err != nil || g.Code != http2.ErrCodeNo {
		t.Errorf("%v, %v; want GOAWAY with NO_ERROR", g, err)
	}
	if err := other.Ping(); err != nil || other.GoneAway() != nil {
		t.Errorf("the other connection: %v, %v", other.GoneAway(), err)
	}
}

// A connection is on the listener that it came by. That another one has its name now opens nothing to it.
func TestReloadThatGivesNamesToOthers(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", testenv.LoopbackAny(t))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	here, there := free(), free()
	text := func(here, there string) string {
		return `
listeners:
  - {name: inside, address: "` + here + `", public_ports: [443], protocols: [h1, h2]}
  - {name: outside, address: "` + there + `", public_ports: [443], protocols: [h1, h2]}
sites:
  - hosts: [a.test.example]
    listeners: [inside]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /, respond: {body: "inside"}}]
`
	}
	for name, next := range map[string]string{
		"swapped": text(there, here),
		"moved":   text("127.0.0.1:0", there),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			r := f.start(t, text(here, there))
			nc, err := tls.Dial("tcp", here, &tls.Config{ServerName: "a.test.example", RootCAs: f.ca.Pool(), NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			c, err := rawh2.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := c.Do(rawh2.Get("https", "a.test.example", "/"), nil); err != nil || string(res.Body) != "inside" {
				t.Fatal(res, err)
			}
			r.reloadText(t, next)
			// The connection is told to go away. What it asks before it has heard that is judged.
			res, err := c.Do(rawh2.Get("https", "a.test.example", "/"), nil)
			switch {
			case err != nil:
				t.Skip("it was too late: ", err)
			case res.Reset == nil && (res.Status != 421 || strings.Contains(string(res.Body), "inside")):
				t.Errorf("%d %s", res.Status, res.Body)
			case res.Reset == nil:
				r.log.wait(t, "verdict", "misdirected", "reason", "wrong_listener", "listener", "inside")
			}
		})
	}
}

// A server that stays when the one beside it is made anew is told, too.
func TestDoorsStayWithTheirListener(t *testing.T) {
	r := newFolder(t).start(t, basic)
	doors := []*door{r.listeners[0].door, r.listeners[1].door}
	r.reloadText(t, basic+"\ntimeouts: {idle: 33s}\n")
	for i, d := range doors {
		if r.listeners[i].door != d {
			t.Errorf("listener %s has another door", d.name)
		}
	}
}

// What a connection advertised and can no longer serve: it is told to go away (GOAWAY) with its next response.
func TestReloadEndsConnectionsThatAdvertisedTooMuch(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from upstream") })
	for name, text := range map[string]string{
		"respond":  basic,
		"upstream": strings.Replace(basic, `respond: {body: "site a\n", headers: {x-site: a}}`, "upstream: "+up.URL, 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := newFolder(t).start(t, text)
			c := r.client(t, "h2", "tls", "a.test.example")
			c.get(t, "a.test.example", "/").want(t, 200, "")
			r.reloadText(t, strings.Replace(text, "site own", "new own", 1))
			c.get(t, "a.test.example", "/").want(t, 200, "")
			if n := c.open.count(); n != 1 {
				t.Fatalf("%d connections after a reload that took nothing away, want 1", n)
			}
			r.reloadText(t, strings.Replace(text, "  - name: b\n", "  - name: b\n    coalesce: false\n", 1))
			c.get(t, "a.test.example", "/").want(t, 200, "") // the last one
			eventually(t, "the client comes back on another connection", func() bool {
				c.get(t, "a.test.example", "/").want(t, 200, "")
				return c.open.count() == 2
			})
		})
	}
}
