package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := New("test root", start)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestRootProfile(t *testing.T) {
	root := newCA(t).Certificate
	key, ok := root.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("root key is %T, want ECDSA P-256", root.PublicKey)
	}
	if !root.IsCA || !root.BasicConstraintsValid || root.MaxPathLen != 0 || !root.MaxPathLenZero {
		t.Errorf("root: IsCA %v, path length %d (zero is meant: %v), want a CA with path length 0", root.IsCA, root.MaxPathLen, root.MaxPathLenZero)
	}
	if want := x509.KeyUsageCertSign | x509.KeyUsageCRLSign; root.KeyUsage != want {
		t.Errorf("root key usage %b, want %b", root.KeyUsage, want)
	}
	if len(root.SubjectKeyId) == 0 {
		t.Error("root has no subject key identifier")
	}
	if want := start.AddDate(10, 0, 0); !root.NotAfter.Equal(want) {
		t.Errorf("root ends %v, want %v", root.NotAfter, want)
	}
	if !root.NotBefore.Equal(start.Add(-time.Hour)) {
		t.Errorf("root begins %v, want an hour before %v", root.NotBefore, start)
	}
	if _, err := New("", start); err == nil {
		t.Error("a root without a name was made")
	}
}

func TestRootMakesNoFurtherAuthority(t *testing.T) {
	ca := newCA(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := *ca.Certificate
	template.Subject.CommonName = "sub"
	template.SubjectKeyId = []byte{1}
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.Certificate, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := (&CA{sub, key}).Issue(Leaf{Hosts: []string{"a.example"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	between := x509.NewCertPool()
	between.AddCert(sub)
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: between, CurrentTime: start}); err == nil {
		t.Error("a leaf below a second authority verifies")
	}
}

func TestIssueServer(t *testing.T) {
	ca := newCA(t)
	cert, err := ca.Issue(Leaf{Hosts: []string{"Shop.Example.", "*.shop.example", "127.0.0.1", "[2001:DB8::1]", "::1", "shop.example"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf == nil || len(cert.Certificate) != 1 {
		t.Fatalf("Leaf %v, chain of %d, want a parsed leaf alone", cert.Leaf, len(cert.Certificate))
	}
	if want := []string{"shop.example", "*.shop.example"}; !slices.Equal(cert.Leaf.DNSNames, want) {
		t.Errorf("DNS names %q, want %q", cert.Leaf.DNSNames, want)
	}
	want := []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP("2001:db8::1"), net.ParseIP("::1")}
	if !slices.EqualFunc(cert.Leaf.IPAddresses, want, net.IP.Equal) {
		t.Errorf("addresses %v, want %v", cert.Leaf.IPAddresses, want)
	}
	for _, host := range []string{"shop.example", "a.shop.example", "127.0.0.1", "[::1]", "[2001:db8::1]"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: host, CurrentTime: start}); err != nil {
			t.Errorf("verify for %s: %v", host, err)
		}
	}
	for _, host := range []string{"a.b.shop.example", "example", "127.0.0.2"} {
		if cert.Leaf.VerifyHostname(host) == nil {
			t.Errorf("the leaf is good for %s", host)
		}
	}
	if !cert.Leaf.NotBefore.Equal(start.Add(-time.Hour)) || !cert.Leaf.NotAfter.Equal(start.Add(LeafLifetime)) {
		t.Errorf("valid %v to %v", cert.Leaf.NotBefore, cert.Leaf.NotAfter)
	}
	if cert.Leaf.IsCA || !slices.Equal(cert.Leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || cert.Leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("profile: CA %v, usage %v %b", cert.Leaf.IsCA, cert.Leaf.ExtKeyUsage, cert.Leaf.KeyUsage)
	}
	again, err := ca.Issue(Leaf{Hosts: []string{"shop.example"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf.SerialNumber.Cmp(again.Leaf.SerialNumber) == 0 || cert.Leaf.SerialNumber.BitLen() < 96 {
		t.Errorf("serials %x and %x are not random", cert.Leaf.SerialNumber, again.Leaf.SerialNumber)
	}
}

func TestIssueClient(t *testing.T) {
	ca := newCA(t)
	cert, err := ca.Issue(Leaf{Client: true, CommonName: "ann", Now: start})
	if err != nil {
		t.Fatal(err)
	}
	usages := func(u x509.ExtKeyUsage) x509.VerifyOptions {
		return x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{u}}
	}
	if _, err := cert.Leaf.Verify(usages(x509.ExtKeyUsageClientAuth)); err != nil {
		t.Errorf("verify as a client: %v", err)
	}
	if _, err := cert.Leaf.Verify(usages(x509.ExtKeyUsageServerAuth)); err == nil {
		t.Error("a client's certificate verifies as a server's")
	}
	if cert.Leaf.Subject.CommonName != "ann" {
		t.Errorf("common name %q, want ann", cert.Leaf.Subject.CommonName)
	}
}

func TestIssueWithGivenKeyAndTimes(t *testing.T) {
	ca := newCA(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	from, until := start.Add(-48*time.Hour), start.Add(-24*time.Hour)
	cert, err := ca.Issue(Leaf{Hosts: []string{"old.example"}, Key: key, NotBefore: from, NotAfter: until})
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(cert.Leaf.PublicKey) || cert.PrivateKey != key {
		t.Error("the given key was not used")
	}
	if cert.Leaf.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		t.Error("an RSA server leaf lacks key encipherment")
	}
	if !cert.Leaf.NotBefore.Equal(from) || !cert.Leaf.NotAfter.Equal(until) {
		t.Errorf("valid %v to %v", cert.Leaf.NotBefore, cert.Leaf.NotAfter)
	}
}

func TestLeafEndsWithItsRoot(t *testing.T) {
	ca := newCA(t)
	late := ca.Certificate.NotAfter.AddDate(0, 0, -30)
	cert, err := ca.Issue(Leaf{Hosts: []string{"a.example"}, Now: late})
	if err != nil {
		t.Fatal(err)
	}
	if !cert.Leaf.NotAfter.Equal(ca.Certificate.NotAfter) {
		t.Errorf("leaf ends %v, root %v", cert.Leaf.NotAfter, ca.Certificate.NotAfter)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t)
	long := strings.Repeat("a", 64)
	tests := []struct {
		name string
		leaf Leaf
		want string
	}{
		{"no host", Leaf{}, "at least one host"},
		{"nameless client", Leaf{Client: true}, "common name"},
		{"empty", Leaf{Hosts: []string{""}}, "is empty"},
		{"dot", Leaf{Hosts: []string{"."}}, "is empty"},
		{"two dots at the end", Leaf{Hosts: []string{"a.."}}, "empty label"},
		{"catch-all", Leaf{Hosts: []string{"*"}}, "every host"},
		{"wildcard alone", Leaf{Hosts: []string{"*."}}, "every host"},
		{"wildcard in the middle", Leaf{Hosts: []string{"a.*.example"}}, "wildcard in the wrong place"},
		{"two wildcards", Leaf{Hosts: []string{"*.*.example"}}, "wildcard in the wrong place"},
		{"wildcard in a label", Leaf{Hosts: []string{"a*.example"}}, "wildcard in the wrong place"},
		{"port", Leaf{Hosts: []string{"a.example:443"}}, "has a port"},
		{"IPv6 port", Leaf{Hosts: []string{"[::1]:443"}}, "bracket"},
		{"zone", Leaf{Hosts: []string{"fe80::1%eth0"}}, "zone"},
		{"IPv4 in brackets", Leaf{Hosts: []string{"[127.0.0.1]"}}, "IPv4 address in brackets"},
		{"not an address", Leaf{Hosts: []string{"1.2.3.256"}}, "ends in a number"},
		{"not ASCII", Leaf{Hosts: []string{"bücher.example"}}, "xn--"},
		{"Kelvin sign", Leaf{Hosts: []string{"\u212aelvin.example"}}, "not ASCII"},
		{"space", Leaf{Hosts: []string{"a b"}}, "byte ' '"},
		{"newline", Leaf{Hosts: []string{"a\nb"}}, `byte '\n'`},
		{"long label", Leaf{Hosts: []string{long}}, "63 bytes"},
		{"long name", Leaf{Hosts: []string{strings.Repeat("a.", 126) + "aa"}}, "253 bytes"},
		{"long common name", Leaf{Hosts: []string{"a"}, CommonName: long + "b"}, "common name"},
		{"ends before it begins", Leaf{Hosts: []string{"a"}, NotAfter: start.Add(-2 * time.Hour)}, "before it begins"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.leaf.Now = start
			_, err := ca.Issue(test.leaf)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	if _, err := new(CA).Issue(Leaf{Hosts: []string{"a"}}); err == nil {
		t.Error("the zero CA issued a leaf")
	}
}

func TestLongFirstHost(t *testing.T) {
	ca := newCA(t)
	host := strings.Repeat("a", 63) + ".example"
	cert, err := ca.Issue(Leaf{Hosts: []string{host}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf.Subject.CommonName != "" {
		t.Errorf("common name %q is longer than RFC 5280 allows", cert.Leaf.Subject.CommonName)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: host, CurrentTime: start}); err != nil {
		t.Error(err)
	}
}

// TestHandshake shows that a client that knows the root alone gets on, with a client's certificate both ways.
func TestHandshake(t *testing.T) {
	ca := newCA(t)
	server, err := ca.Issue(Leaf{Hosts: []string{"a.example"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue(Leaf{Client: true, CommonName: "ann", Now: start})
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return start }
	c, s := net.Pipe()
	defer c.Close()
	defer s.Close()
	for _, end := range []net.Conn{c, s} {
		end.SetDeadline(time.Now().Add(20 * time.Second)) // a side that fails must not leave the other waiting
	}
	result := make(chan error, 1)
	go func() {
		result <- tls.Server(s, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), Time: clock, SessionTicketsDisabled: true}).Handshake()
	}()
	err = tls.Client(c, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", Certificates: []tls.Certificate{client}, Time: clock}).Handshake()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}
