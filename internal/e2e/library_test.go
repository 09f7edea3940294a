package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	usherh3 "github.com/usher-http/usher/h3"
	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testenv"
)

// What the gateway cannot be made to answer comes from servers that stand in this process, on the library.

// noFacts forgets the hooks of the guard. The gateway forgets none.
func noFacts() []sample {
	const reason = authority.NoFacts
	var list []sample
	for _, proto := range protocols {
		list = append(list, sample{reason, proto, "", "a request in a server of one's own that lacks the guard's ConnContext (library)",
			answered(500, reason.String()), func(t *testing.T, s *stage) string { return s.forgotten(t, proto) }})
	}
	return list
}

func (s *stage) forgotten(t *testing.T, proto string) string {
	log := newTranscript()
	guard, err := usher.New(usher.Config{Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	handler := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }))
	var l *stage
	if proto == "h3" {
		l = s.libraryQUIC(t, handler)
	} else {
		l = s.library(t, &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: s.shared(t)}})
	}
	r := l.connect(t, proto, shop).get(t, "shop.test", "/")
	if !strings.Contains(log.text(), "guard.ConnContext") {
		t.Errorf("the log does not name what is missing: %s", log.text())
	}
	return loggedAs(t, log, r)
}

// conflictInLibrary: net/http's own HTTP/2 server lets two hosts pass, and the guard does not.
func conflictInLibrary(t *testing.T, s *stage) string {
	log := newTranscript()
	guard, err := usher.New(usher.Config{Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l := s.library(t, &http.Server{
		Handler:     guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
		TLSConfig:   guard.TLSConfig(&tls.Config{Certificates: s.shared(t)}),
		ConnContext: guard.ConnContext,
	})
	c := l.h2(t, shop)
	if r := c.send(t, nil, pseudo("https", "shop.test", "host", "SHOP.test.:443")...); r.status != 200 {
		t.Errorf("%d for two spellings of a host", r.status)
	}
	return loggedAs(t, log, c.send(t, nil, pseudo("https", "shop.test", "host", "api.test")...))
}

// loggedAs compares a reply with what the guard has logged.
func loggedAs(t testing.TB, log *transcript, r reply) string {
	t.Helper()
	refusal := refusalIn(t, log)
	if refusal.Status != r.status {
		t.Errorf("the log has %d, the client %d", refusal.Status, r.status)
	}
	return answered(r.status, refusal.Reason)
}

// refusalIn waits for the guard's line about a refused request.
func refusalIn(t testing.TB, log *transcript) entry {
	t.Helper()
	return parseEntry(t, log.awaitText(t, 0, "request refused"))
}

func (s *stage) shared(t testing.TB) []tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(s.cast.dir, "shared.pem"), filepath.Join(s.cast.dir, "shared.key"))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}

// library returns a stage whose listener is a server in this process.
func (s *stage) library(t testing.TB, srv *http.Server) *stage {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.ServeTLS(in, "", "")
	t.Cleanup(func() { srv.Close() })
	return s.with(in.Addr())
}

// libraryQUIC does the same with quic-go's own server.
func (s *stage) libraryQUIC(t testing.TB, handler http.Handler) *stage {
	t.Helper()
	pc := listenUDP(t)
	srv := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: s.shared(t)})}
	go srv.Serve(pc)
	t.Cleanup(func() { srv.Close() })
	return s.with(pc.LocalAddr())
}

func (s *stage) with(public net.Addr) *stage {
	return &stage{s.cast, &server{address: map[string]string{"public": public.String()}}}
}

func listenUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

func earlyData() []sample {
	const reason = authority.EarlyData
	overTCP := never("Go's TLS server takes no early data over TCP: its tickets allow for none")
	return []sample{
		{reason, "h1", "", "a session ticket over TCP", overTCP, noEarlyTicket},
		{reason, "h2", "", "a session ticket over TCP", overTCP, noEarlyTicket},
		{reason, "h3", "gateway", "a request in early data, to the gateway", never("the gateway accepts no early data: the request waits for the handshake"),
			func(t *testing.T, s *stage) string {
				tickets := newTickets()
				mark := s.stdout.mark()
				s.firstSession(t, tickets)
				s.stdout.awaitEntry(t, mark, "the first request", func(entry) bool { return true }) // it would be taken for the next one
				c := s.early(t, s.at(t, "public"), tickets)
				got := s.observe(t, "h3", func() reply { return c.get(t, s.text(t, "members.test:PORT"), "/") })
				if want := answered(200, "ok"); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				<-c.QUIC.HandshakeComplete()
				if state := c.QUIC.ConnectionState(); state.Used0RTT || !state.TLS.DidResume {
					t.Errorf("early data %v, resumed %v", state.Used0RTT, state.TLS.DidResume)
				}
				return ""
			}},
		{reason, "h3", "library", "a request in early data for a site with client authentication, to `h3.Server` with `EarlyData` (library)",
			answered(425, reason.String()), earlyInLibrary},
	}
}

// noEarlyTicket reads a ticket with other eyes than crypto/tls's, which knows early data for QUIC alone.
func noEarlyTicket(t *testing.T, s *stage) string {
	openssl := testenv.Tool(t, "openssl")
	file := filepath.Join(t.TempDir(), "session")
	mark := s.stdout.mark()
	out := s.openssl(t, "-servername", "shop.test", "-tls1_3", "-sess_out", file)
	s.stdout.awaitEntries(t, mark, 1) // it would be taken for that of the next sample
	text, errs, code := command(t, "", "", openssl, "sess_id", "-in", file, "-noout", "-text")
	if code != 0 || !strings.Contains(text, "Max Early Data: 0\n") {
		t.Errorf("exit %d %s\n%s\n%s", code, errs, text, out)
	}
	return ""
}

// firstSession fills tickets.
func (s *stage) firstSession(t *testing.T, tickets *tickets) {
	t.Helper()
	d := on("members.test")
	d.sessions = tickets
	c := s.h3(t, d)
	defer c.close()
	if r := c.get(t, "members.test", "/"); r.status != 200 {
		t.Fatalf("%d before any early data", r.status)
	}
	tickets.await(t)
}

// early begins a connection that may use early data.
func (s *stage) early(t *testing.T, addr string, tickets *tickets) *h3 {
	t.Helper()
	d := on("members.test")
	d.sessions = tickets
	c, err := rawh3.DialEarly(t.Context(), addr, s.tls(d), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &h3{c}
}

// earlyInLibrary has a relay keep back the server's answers until the guard has decided, so that the handshake cannot be
// complete by then.
func earlyInLibrary(t *testing.T, s *stage) string {
	log := newTranscript()
	guard, err := usher.New(usher.Config{
		Sites: []usher.Site{{Hosts: []string{"members.test"}, Certificates: s.shared(t),
			ClientAuth: usher.Optional, ClientCAs: s.staffCAs(t)}},
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	pc := listenUDP(t)
	srv := &usherh3.Server{Guard: guard, EarlyData: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go srv.Serve(pc)
	t.Cleanup(func() { srv.Close() })
	l := s.with(pc.LocalAddr())
	tickets := newTickets()
	l.firstSession(t, tickets)

	relay := newRelay(t, pc.LocalAddr().String())
	c := l.early(t, relay.addr, tickets)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := make(chan func() reply, 1)
	go func() {
		w, err := c.Do(ctx, rawh3.Get("members.test", "/"), "")
		got <- func() reply { return replyOfH3(t, w, err) }
	}()
	refusalIn(t, log)
	relay.open()
	r := (<-got)()
	<-c.QUIC.HandshakeComplete()
	if !c.QUIC.ConnectionState().Used0RTT {
		t.Error("no early data")
	}
	if again := c.get(t, "members.test", "/"); again.status != 200 {
		t.Errorf("after the handshake: %d", again.status)
	}
	return loggedAs(t, log, r)
}

func (s *stage) staffCAs(t testing.TB) []*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.cast.dir, "staff-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certificateIn(text)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

// tickets offer the last ticket that came to every connection, whatever its name.
type tickets struct {
	mu   sync.Mutex
	last *tls.ClientSessionState
	came chan struct{}
}

func newTickets() *tickets { return &tickets{came: make(chan struct{})} }

func (b *tickets) Get(string) (*tls.ClientSessionState, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.last != nil
}

func (b *tickets) Put(_ string, s *tls.ClientSessionState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == nil {
		return
	}
	if b.last == nil {
		close(b.came)
	}
	b.last = s
}

func (b *tickets) await(t testing.TB) {
	t.Helper()
	select {
	case <-b.came:
	case <-time.After(patience):
		t.Fatal("no ticket came")
	}
}

// A relay hands datagrams on to a server at once, and those of the server back once it is open.
type relay struct {
	addr   string
	opened chan struct{}
}

func newRelay(t testing.TB, server string) *relay {
	t.Helper()
	front := listenUDP(t)
	back, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{front.LocalAddr().String(), make(chan struct{})}
	client := make(chan *net.UDPAddr, 1)
	var ends sync.WaitGroup
	ends.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			select {
			case client <- from:
			default:
			}
			back.Write(buf[:n])
		}
	})
	done := make(chan struct{})
	ends.Go(func() {
		buf := make([]byte, 1<<16)
		n, err := back.Read(buf)
		if err != nil {
			return
		}
		to := <-client
		select {
		case <-r.opened:
		case <-done:
			return
		}
		for err == nil || !errors.Is(err, net.ErrClosed) {
			front.WriteToUDP(buf[:n], to)
			n, err = back.Read(buf)
		}
	})
	t.Cleanup(func() {
		close(done)
		front.Close()
		back.Close()
		ends.Wait()
	})
	return r
}

func (r *relay) open() { close(r.opened) }
