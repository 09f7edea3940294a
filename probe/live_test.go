package probe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// A door is a server with one.test, two.test and staff.test on one certificate and blog.test on another; staff.test requires client
// certificates. As it is, it does everything right that net/http lets it; tests break one thing each.
type door struct {
	protocols []string // for ALPN
	port      string   // for the handlers, once it listens
	sni       func(string) string
	refuse    func(http.ResponseWriter)
	// judge answers requests that must not be served, and reports whether it did.
	judge func(d *door, w http.ResponseWriter, r *http.Request, host string) bool
	page  func(w http.ResponseWriter, host string)

	mu       sync.Mutex // requests of several connections are answered one after the other
	asked    string
	optional bool // staff.test asks for certificates, and answers without
	accepts  int  // so many connections, and then the server is gone; 0: it stays
}

var groups = map[string]string{"one.test": "shared", "two.test": "shared", "staff.test": "shared", "blog.test": "blog"}

var texts = map[string]string{"one.test": "the first of all\n", "two.test": "a second site\n", "staff.test": "salaries\n", "blog.test": "what I did today\n"}

func rightDoor() *door {
	return &door{
		protocols: []string{"h2", "http/1.1"},
		sni:       strings.ToLower,
		refuse: func(w http.ResponseWriter) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(421)
		},
		judge: (*door).misdirected,
		page:  func(w http.ResponseWriter, host string) { io.WriteString(w, texts[host]) },
	}
}

// misdirected is what a server ought to ask.
func (d *door) misdirected(w http.ResponseWriter, r *http.Request, host string) bool {
	name, port, _ := net.SplitHostPort(host)
	name = strings.TrimSuffix(name, ".")
	switch {
	case strings.Contains(host, "@") || host == "" || r.Header.Get("Host") != "":
		w.WriteHeader(400)
	case port != d.port || r.URL.Scheme == "http" || groups[name] == "" || groups[name] != groups[d.sni(r.TLS.ServerName)],
		name == "staff.test" && !d.optional && len(r.TLS.VerifiedChains) == 0:
		d.refuse(w)
	default:
		return false
	}
	return true
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == "OPTIONS" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = strings.TrimSuffix(r.Host, ":"+d.port)
	if d.judge != nil && d.judge(d, w, r, r.Host) {
		return
	}
	name, _, _ := net.SplitHostPort(r.Host)
	d.page(w, strings.TrimSuffix(name, "."))
}

// open starts the door and returns its targets and options to probe it with.
func (d *door) open(t *testing.T) ([]Target, Options) {
	t.Helper()
	ca := testca.New(t)
	clients := testca.New(t)
	pairs := map[string]tls.Certificate{"shared": ca.Server(t, "one.test", "two.test", "staff.test"), "blog": ca.Server(t, "blog.test")}
	config := &tls.Config{NextProtos: d.protocols, SessionTicketsDisabled: true}
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		group := groups[d.sni(h.ServerName)]
		if group == "" {
			group = "shared"
		}
		c := &tls.Config{NextProtos: d.protocols, SessionTicketsDisabled: true, Certificates: []tls.Certificate{pairs[group]}}
		if d.sni(h.ServerName) == "staff.test" {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			c.ClientCAs.AddCert(clients.Root())
			if d.optional {
				c.ClientAuth = tls.VerifyClientCertIfGiven
			}
		}
		return c, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.port = fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	srv := &http.Server{Handler: d, TLSConfig: config, ErrorLog: discard, DisableGeneralOptionsHandler: true}
	if !slices.Contains(d.protocols, "h2") {
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if d.accepts > 0 {
		l = &leaving{Listener: l, left: d.accepts}
	}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	var targets []Target
	for _, name := range []string{"one.test", "two.test", "staff.test", "blog.test"} {
		target, err := ParseTarget(name + ":" + d.port)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	return targets, Options{Protocols: []wire.Protocol{wire.H1, wire.H2}, TargetRate: -1, Parallel: 1, Resolve: loopback, Roots: ca.Pool(),
		Limits: unhurried}
}

// A leaving listener is closed after so many connections.
type leaving struct {
	net.Listener
	left int
}

func (l *leaving) Accept() (net.Conn, error) {
	if l.left == 0 {
		l.Close()
	}
	l.left--
	return l.Listener.Accept()
}

// told are the findings beside http inside TLS, which net/http hides from its handlers: "id kind connection>host", each once.
func told(r *Report) string {
	var list []string
	for _, f := range r.Findings {
		if f.Kind == HTTPInside {
			continue
		}
		brief := func(s string) string { s, _, _ = strings.Cut(s, ":"); return strings.TrimSuffix(s, ".test") }
		text := string(f.ID)
		if f.Kind != Plain && f.Kind != "" {
			text += "/" + string(f.Kind)
		}
		text += " " + brief(f.Connection) + ">" + brief(f.Host)
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func TestLiveServers(t *testing.T) {
	var nonce atomic.Int64
	for _, test := range []struct {
		name  string
		spoil func(*door)
		want  string
	}{
		{"right", func(*door) {}, ""},
		{"right, HTTP/1.1 alone", func(d *door) { d.protocols = []string{"http/1.1"} }, ""},
		{"nobody asks for the client certificate where there is no SNI", func(d *door) {
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if r.TLS.ServerName == "" && r.Header.Get("Host") == "" && strings.HasPrefix(host, "staff.test:"+d.port) {
					return false
				}
				return d.misdirected(w, r, host)
			}
		}, "bypass/no-sni >staff"},
		{"the same over HTTP/1.1 alone", func(d *door) {
			d.protocols = []string{"http/1.1"}
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if r.TLS.ServerName == "" && r.Header.Get("Host") == "" && strings.HasPrefix(host, "staff.test:"+d.port) {
					return false
				}
				return d.misdirected(w, r, host)
			}
		}, "bypass/no-sni >staff"},
		{"pages with cookies, dates and nonces", func(d *door) {
			d.page = func(w http.ResponseWriter, host string) {
				nonce := nonce.Add(1)
				w.Header().Set("Set-Cookie", fmt.Sprint("id=", nonce))
				w.Header().Set("Strict-Transport-Security", "max-age=1000")
				fmt.Fprintf(w, "<script nonce='n%dx'></script><p>%s greets you at %s with all these words of its own, %s, with many words that are "+
					"the same each time: lorem ipsum dolor sit amet consectetur adipiscing elit</p>", nonce, host, time.Now(), strings.Repeat(texts[host], 5))
			}
		}, ""},
		{"redirects to itself", func(d *door) {
			d.page = func(w http.ResponseWriter, host string) {
				w.Header().Set("Location", "https://"+host+":"+d.port+"/en/?q="+fmt.Sprint(time.Now().UnixNano()))
				w.WriteHeader(302)
			}
		}, ""},
		{"a certificate is asked for, not required, and there is no ALPN", func(d *door) { d.protocols, d.optional = nil, true }, ""},
		{"a page for all that is not known, with the name and a nonce", func(d *door) {
			d.refuse = func(w http.ResponseWriter) {
				nonce := nonce.Add(1)
				fmt.Fprintf(w, "Here is no %s. Incident %dx", d.asked, nonce)
			}
		}, "parse/foreign-port one>one, uncovered blog>one, uncovered blog>staff, uncovered one>blog, uncovered/unknown-authority one>usher-probe.invalid, wrong-content one>staff, wrong-content two>staff"},
		{"sites are chosen by SNI", func(d *door) {
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if sni, port := d.sni(r.TLS.ServerName), ":"+d.port; groups[sni] != "" && groups[strings.TrimSuffix(host, port)] != "" && r.Header.Get("Host") == "" {
					d.page(w, sni)
					return true
				}
				return d.misdirected(w, r, host)
			}
		}, "parse/absolute-form one>staff, uncovered blog>one, uncovered blog>staff, uncovered one>blog, wrong-content one>staff, wrong-content one>two, " +
			"wrong-content two>one, wrong-content two>staff"},
		{"SNI and host are compared", func(d *door) {
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if r.Header.Get("Host") == "" && host != "" && !strings.Contains(host, "@") && host != d.sni(r.TLS.ServerName)+":"+d.port {
					d.refuse(w)
					return true
				}
				return d.misdirected(w, r, host)
			}
		}, "over-strict one>two, over-strict two>one"},
		{"a 421 that can be stored, and tells too much", func(d *door) {
			d.refuse = func(w http.ResponseWriter) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Alt-Svc", `h3=":443"`)
				w.Header().Set("Server", "door/1.2.3")
				w.WriteHeader(421)
				io.WriteString(w, "try two.test")
			}
		}, "421-hygiene/alt-svc one>staff, 421-hygiene/names one>staff, 421-hygiene/storable one>staff, 421-hygiene/version one>staff"},
		{"421 on its own connection", func(d *door) {
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if strings.HasPrefix(host, "two.test") {
					d.refuse(w)
					return true
				}
				return d.misdirected(w, r, host)
			}
		}, "loop two>two"},
		{"the server leaves in the middle", func(d *door) {
			d.protocols, d.accepts = []string{"http/1.1"}, 9 // two for each host itself, and one
			d.page = func(w http.ResponseWriter, host string) {
				w.Header().Set("Connection", "close")
				io.WriteString(w, texts[host])
			}
		}, ""},
		{"rate limits by 503", func(d *door) {
			right := d.judge
			d.judge = func(d *door, w http.ResponseWriter, r *http.Request, host string) bool {
				if d.sni(r.TLS.ServerName)+":"+d.port != host {
					w.WriteHeader(503)
					return true
				}
				return right(d, w, r, host)
			}
		}, ""},
		{"404 for all that is not the SNI", func(d *door) {
			d.refuse = func(w http.ResponseWriter) { w.WriteHeader(404) }
		}, "not-retried blog>one, not-retried blog>staff, not-retried one>blog, not-retried one>staff, not-retried two>staff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := rightDoor()
			test.spoil(d)
			targets, o := d.open(t)
			r, err := Probe(t.Context(), targets, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(r); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
				for _, f := range r.Findings {
					t.Logf("%s %s: %s -> %s", f.ID, f.Kind, f.Sent, f.Got)
				}
			}
		})
	}
}
