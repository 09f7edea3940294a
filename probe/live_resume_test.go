package probe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe/wire"
)

// trusting is a handler for one.test and staff.test. Whoever shows no certificate gets 403 from staff.test, unless resumed sessions are
// trusted to have shown one.
func trusting(resumed bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.Host, ":")
		switch {
		case name != r.TLS.ServerName:
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(421)
		case name == "staff.test" && len(r.TLS.VerifiedChains) == 0 && !(resumed && r.TLS.DidResume):
			w.WriteHeader(403)
		default:
			fmt.Fprint(w, texts[name])
		}
	})
}

// TestLiveResumption: a server that takes a resumed session for one that was authenticated opens staff.test to sessions of one.test, over
// every protocol and version; one that looks at the certificate does not.
func TestLiveResumption(t *testing.T) {
	for _, test := range []struct {
		proto    wire.Protocol
		version  uint16
		protocol string
	}{
		{wire.H1, tls.VersionTLS12, "http/1.1"}, {wire.H1, tls.VersionTLS13, "http/1.1"}, {wire.H2, tls.VersionTLS12, "h2"}, {wire.H2, tls.VersionTLS13, "h2"}, {wire.H3, tls.VersionTLS13, "h3"},
	} {
		for _, wrong := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %s %v", tls.VersionName(test.version), test.protocol, wrong), func(t *testing.T) {
				ca, clients := testca.New(t), testca.New(t)
				pair := ca.Server(t, "one.test", "staff.test")
				base := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: test.version, MaxVersion: test.version, NextProtos: []string{test.protocol}}
				locked := base.Clone()
				for _, c := range []*tls.Config{base, locked} {
					c.SetSessionTicketKeys([][32]byte{{1}}) // http3 gives each a key of its own else
				}
				locked.ClientAuth, locked.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
				locked.ClientCAs.AddCert(clients.Root())
				base.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					if h.ServerName == "staff.test" {
						return locked, nil
					}
					return nil, nil
				}
				port := serveTLS(t, test.proto, base, trusting(wrong))
				var targets []Target
				for _, name := range []string{"one.test", "staff.test"} {
					target, err := ParseTarget(name + ":" + port)
					if err != nil {
						t.Fatal(err)
					}
					targets = append(targets, target)
				}
				me := clients.Client(t, "me")
				for _, certificate := range []*tls.Certificate{nil, &me} {
					r, err := Probe(t.Context(), targets, Options{Protocols: []wire.Protocol{test.proto}, TargetRate: -1, Resolve: loopback, Certificate: certificate,
						Limits: unhurried})
					if err != nil {
						t.Fatal(err)
					}
					if r.Hosts[1].ClientAuth != AuthRequired {
						t.Errorf("%+v", r.Hosts[1])
					}
					i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == Bypass && f.Check == CheckResume && f.Host == r.Hosts[1].Name })
					if i >= 0 != wrong {
						t.Errorf("certificate %v: bypass %v: %+v", certificate != nil, i >= 0, r.Findings)
					}
					if i >= 0 && test.proto == wire.H1 {
						pasted(t, r.Findings[i].Try, "Reused, "+map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[test.version], texts["staff.test"])
					}
				}
			})
		}
	}
}

// pasted runs a finding's command in a shell.
func pasted(t *testing.T, command string, want ...string) {
	t.Helper()
	testenv.Tool(t, "openssl")
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	for _, text := range want {
		if !strings.Contains(string(out), text) {
			t.Errorf("%s: %v\n%s\ndoes not show %q", command, err, out, text)
		}
	}
}

// serveTLS serves on a port of loopback.
func serveTLS(t *testing.T, proto wire.Protocol, config *tls.Config, h http.Handler) (port string) {
	t.Helper()
	if proto == wire.H3 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http3.Server{Handler: h, TLSConfig: config}
		go srv.Serve(udp)
		t.Cleanup(func() { srv.Close(); udp.Close() })
		return fmt.Sprint(udp.LocalAddr().(*net.UDPAddr).Port)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, TLSConfig: config, ErrorLog: discard}
	if proto == wire.H1 {
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}
