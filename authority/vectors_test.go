package authority

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// The shape of testdata/vectors.json is described in testdata/README.md.
type vectorFile struct {
	About      string                 `json:"about"`
	Version    int                    `json:"version"`
	Tables     map[string]vectorTable `json:"tables"`
	Cases      []vectorCase           `json:"cases"`
	Handshakes []vectorHandshake      `json:"handshakes"`
	Parse      []vectorParse          `json:"parse"`
}

type vectorTable struct {
	Mode        string           `json:"mode"`
	UnknownHost int              `json:"unknown_host"`
	DefaultSite string           `json:"default_site"`
	Listeners   []vectorListener `json:"listeners"`
	Sites       []vectorSite     `json:"sites"`
	SamePolicy  [][2]string      `json:"same_policy"`
}

type vectorListener struct {
	Name   string   `json:"name"`
	Scheme string   `json:"scheme"`
	Ports  []uint16 `json:"ports"`
}

type vectorSite struct {
	Name         string     `json:"name"`
	Hosts        []string   `json:"hosts"`
	Listeners    []string   `json:"listeners"`
	Certificates [][]string `json:"certificates"`
	ClientAuth   ClientAuth `json:"client_auth"`
	ClientCA     string     `json:"client_ca"`
	MinVersion   string     `json:"min_version"`
	Coalesce     *bool      `json:"coalesce"`
	HTTP         string     `json:"http"`
}

type vectorConn struct {
	Listener     string     `json:"listener"`
	Port         uint16     `json:"port"`
	Secure       bool       `json:"secure"`
	Trusted      bool       `json:"trusted"`
	Terminated   bool       `json:"terminated"`
	SNI          string     `json:"sni"`
	Site         string     `json:"site"`
	Certificates [][]string `json:"certificates"`
	Version      string     `json:"version"`
	Protocol     string     `json:"protocol"`
	ClientAuth   ClientAuth `json:"client_auth"`
	ClientCA     string     `json:"client_ca"`
	Verified     bool       `json:"verified"`
	Resumed      bool       `json:"resumed"`
	PerSNI       bool       `json:"per_sni"`
}

type vectorCase struct {
	Name       string      `json:"name"`
	Table      string      `json:"table"`
	Connection *vectorConn `json:"connection"`
	Request    struct {
		Scheme     string   `json:"scheme"`
		Authority  string   `json:"authority"`
		Hosts      []string `json:"hosts"`
		ClientCert string   `json:"client_cert"`
	} `json:"request"`
	Want vectorWant `json:"want"`
	Why  string     `json:"why"`
	RFC  string     `json:"rfc"`
}

type vectorWant struct {
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Site   string `json:"site"`
	Close  bool   `json:"close"`
	Waived string `json:"waived"`
	Port   uint16 `json:"port"`
}

type vectorHandshake struct {
	Name     string `json:"name"`
	Table    string `json:"table"`
	Listener string `json:"listener"`
	Port     uint16 `json:"port"`
	SNI      string `json:"sni"`
	WantSite string `json:"want_site"`
	Want     string `json:"want"`
	Why      string `json:"why"`
	RFC      string `json:"rfc"`
}

type vectorParse struct {
	Input string `json:"input"`
	Host  string `json:"host"`
	Port  uint16 `json:"port"`
	Kind  string `json:"kind"`
	Error bool   `json:"error"`
	Why   string `json:"why"`
}

func readVectors(t *testing.T) (vectorFile, map[string]*Table) {
	t.Helper()
	f, err := os.Open("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var v vectorFile
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	tables := map[string]*Table{}
	for name, vt := range v.Tables {
		if tables[name], err = vt.build(); err != nil {
			t.Fatalf("table %q: %v", name, err)
		}
	}
	return v, tables
}

func (v vectorTable) build() (*Table, error) {
	o := Options{DefaultSite: v.DefaultSite, UnknownNotFound: v.UnknownHost == 404}
	if v.Mode == "observe" {
		o.Mode = Observe
	}
	if v.SamePolicy != nil {
		o.SamePolicy = func(sni, host string) bool { return slices.Contains(v.SamePolicy, [2]string{sni, host}) }
	}
	for _, l := range v.Listeners {
		o.Listeners = append(o.Listeners, Listener{Name: l.Name, Scheme: ParseScheme(l.Scheme), Ports: l.Ports})
	}
	if v.Sites == nil {
		return CertificateRule(o), nil
	}
	sites := []Site{}
	for _, s := range v.Sites {
		site := Site{
			Name: s.Name, Listeners: s.Listeners, Certificates: namesOf(s.Certificates),
			ClientAuth: s.ClientAuth, ClientCAs: digestOf(s.ClientCA), MinVersion: versionOf(s.MinVersion),
			OwnConnections: s.Coalesce != nil && !*s.Coalesce, PlainHTTP: s.HTTP == "serve",
		}
		for _, h := range s.Hosts {
			p, err := ParsePattern(h)
			if err != nil {
				return nil, err
			}
			site.Patterns = append(site.Patterns, p)
		}
		sites = append(sites, site)
	}
	return NewTable(o, sites)
}

func (v *vectorConn) build() *Conn {
	if v == nil {
		return nil
	}
	return &Conn{
		Listener: v.Listener, Port: v.Port, Secure: v.Secure, Trusted: v.Trusted, Terminated: v.Terminated,
		SNI: v.SNI, Site: v.Site, Names: namesOf(v.Certificates), Version: versionOf(v.Version), Protocol: v.Protocol,
		ClientAuth: v.ClientAuth, ClientCAs: digestOf(v.ClientCA), Verified: v.Verified, Resumed: v.Resumed, PerSNI: v.PerSNI,
	}
}

func (v *vectorCase) request() Request {
	r := Request{Scheme: ParseScheme(v.Request.Scheme), Authority: v.Request.Authority, Hosts: v.Request.Hosts}
	if ca := v.Request.ClientCert; ca != "" {
		r.ClientCert = func(s *Site) bool { return s.ClientCAs == digestOf(ca) }
	}
	return r
}

func namesOf(certificates [][]string) (list []*Names) {
	for _, sans := range certificates {
		var dns []string
		var ips []netip.Addr
		for _, san := range sans {
			if name, ok := strings.CutPrefix(san, "DNS:"); ok {
				dns = append(dns, name)
			} else {
				ips = append(ips, netip.MustParseAddr(strings.TrimPrefix(san, "IP:")))
			}
		}
		list = append(list, NewNames(dns, ips))
	}
	return list
}

func digestOf(label string) CADigest {
	if label == "" {
		return CADigest{}
	}
	return sha256.Sum256([]byte(label))
}

func versionOf(s string) uint16 {
	return map[string]uint16{"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}[s]
}

func gotOf(v Verdict) vectorWant {
	w := vectorWant{Status: v.Status(), Reason: v.Reason.String(), Close: v.Close, Port: v.Port}
	if v.Site != nil {
		w.Site = v.Site.Name
	}
	if v.Waived != OK {
		w.Waived = v.Waived.String()
	}
	return w
}

func TestVectors(t *testing.T) {
	v, tables := readVectors(t)
	if len(v.Cases) < 200 || v.About == "" {
		t.Fatalf("%d cases, want at least 200 and a word about them", len(v.Cases))
	}
	seen := map[string]bool{}
	for _, c := range v.Cases {
		if seen[c.Name] || c.Why == "" {
			t.Errorf("%s: a case needs a name of its own and a why", c.Name)
		}
		seen[c.Name] = true
		table := tables[c.Table]
		if table == nil {
			t.Fatalf("%s: no table %q", c.Name, c.Table)
		}
		conn, r := c.Connection.build(), c.request()
		// The second answer comes from the memo, the third from a fresh connection.
		for _, how := range []string{"first", "again"} {
			if got := gotOf(table.Decide(conn, r)); got != c.Want {
				t.Errorf("%s (%s)\n got %+v\nwant %+v\nbecause %s", c.Name, how, got, c.Want, c.Why)
			}
		}
		steps, verdict := table.Explain(c.Connection.build(), r)
		if got := gotOf(verdict); got != c.Want {
			t.Errorf("%s (Explain)\n got %+v\nwant %+v", c.Name, got, c.Want)
		}
		checkSteps(t, c, steps, verdict)
	}
}

// checkSteps compares the steps of an explanation with the verdict.
func checkSteps(t *testing.T, c vectorCase, steps []Step, v Verdict) {
	t.Helper()
	refused, waived := OK, OK
	for i, s := range steps {
		if s.Question != i+1 || s.Text == "" {
			t.Errorf("%s: step %d is %+v", c.Name, i, s)
		}
		if s.Outcome == Refused {
			refused = s.Reason
		}
		if s.Outcome == Waived && waived == OK {
			waived = s.Reason
		}
		if refused != OK && s.Outcome != NotAsked && s.Reason != refused {
			t.Errorf("%s: question %d was asked after a refusal", c.Name, s.Question)
		}
	}
	want := v.Reason
	if want == Redirect || want == NoFacts {
		want = OK // these stand beside the questions
	}
	if len(steps) != 8 || refused != want || waived != v.Waived {
		t.Errorf("%s: %d steps refuse %v and waive %v, the verdict is %v, waived %v", c.Name, len(steps), refused, waived, v.Reason, v.Waived)
	}
}

func TestVectorsCoverEveryReason(t *testing.T) {
	v, _ := readVectors(t)
	reasons, waived := map[string]int{}, map[string]int{}
	for _, c := range v.Cases {
		reasons[c.Want.Reason]++
		waived[c.Want.Waived]++
	}
	for _, r := range Reasons() {
		// These two come from the method and from early data, which Decide does not look at.
		if r != EarlyData && r != MethodNotSupported && reasons[r.String()] == 0 {
			t.Errorf("no case with reason %v", r)
		}
	}
	for _, r := range []Reason{SchemeMismatch, CertificateMismatch, TLSVersionMismatch, CoalescingRefused} {
		if waived[r.String()] == 0 {
			t.Errorf("no case in which %v is waived", r)
		}
	}
}

func TestVectorsCoverTheClientAuthenticationMatrix(t *testing.T) {
	v, tables := readVectors(t)
	cells := map[string]bool{}
	for _, c := range v.Cases {
		if c.Want.Site == "" || c.Connection == nil {
			continue
		}
		site, conn := tables[c.Table].Site(c.Want.Site), c.Connection
		where := v.Tables[c.Table].Mode
		switch {
		case !conn.Secure && !conn.Trusted && !conn.Terminated:
			where = "plaintext"
		case conn.Trusted:
			where = "trusted"
		}
		cells[cell(where, site.ClientAuth, conn.ClientAuth, conn.Verified, conn.ClientCA)] = true
	}
	total := 0
	want := func(name string) {
		total++
		if !cells[name] {
			t.Errorf("no case for %s", name)
		}
	}
	for _, site := range []ClientAuth{None, Optional, Require} {
		want(cell("plaintext", site, None, false, ""))
		for _, where := range []string{"enforce", "observe", "trusted"} {
			want(cell(where, site, None, false, ""))
			for _, ca := range []string{"staff", "partners", "staff+partners"} {
				want(cell(where, site, Optional, false, ca))
				want(cell(where, site, Optional, true, ca))
				want(cell(where, site, Require, true, ca))
			}
		}
	}
	if total != 93 {
		t.Errorf("%d cells were asked for", total)
	}
}

func cell(where string, site, conn ClientAuth, verified bool, ca string) string {
	return fmt.Sprintf("%s: site %v, connection %v verified=%t ca=%q", where, site, conn, verified, ca)
}

func TestHandshakeVectors(t *testing.T) {
	v, tables := readVectors(t)
	for _, h := range v.Handshakes {
		if (h.Want == "unrecognized_name") == (h.WantSite != "") {
			t.Fatalf("%s: wants a site or unrecognized_name", h.Name)
		}
		got := ""
		if s := tables[h.Table].Choose(h.SNI, &Conn{Listener: h.Listener, Port: h.Port, Secure: true}); s != nil {
			got = s.Name
		}
		if got != h.WantSite {
			t.Errorf("%s: chose %q, want %q because %s", h.Name, got, h.WantSite, h.Why)
		}
	}
}

func TestParseVectors(t *testing.T) {
	v, _ := readVectors(t)
	kinds := map[string]hostKind{"name": dnsName, "ipv4": ipv4, "ipv6": ipv6}
	for _, p := range v.Parse {
		a, err := Parse(p.Input)
		if p.Error {
			if err == nil || a.IsValid() {
				t.Errorf("Parse(%q) = %v, want an error: %s", p.Input, a, p.Why)
			}
			continue
		}
		if err != nil || a.Host() != p.Host || a.Port() != p.Port || a.kind != kinds[p.Kind] {
			t.Errorf("Parse(%q) = host %q port %d, %v; want %+v", p.Input, a.Host(), a.Port(), err, p)
		}
	}
}
