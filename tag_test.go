package usher

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/usher-http/usher/authority"
)

// The bytes were computed by another program in another language: other nodes, and other versions, must find the same.
func TestTagGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/tags.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Tags []struct {
			Name       string
			Sites      bool
			Site       string
			ClientAuth byte   `json:"client_auth"`
			CADigest   string `json:"ca_digest"`
			MinVersion uint16 `json:"min_version"`
			Verifier   string
			Leaf       string
			SNI        string
			Encoded    string
			Tag        string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Tags) < 8 {
		t.Fatalf("%d golden tags", len(golden.Tags))
	}
	for _, g := range golden.Tags {
		in := tag{site: g.Site, clientAuth: g.ClientAuth, minVersion: g.MinVersion, verifier: g.Verifier, sites: g.Sites, sni: g.SNI}
		hex.Decode(in.cas[:], []byte(g.CADigest))
		hex.Decode(in.leaf[:], []byte(g.Leaf))
		if got := hex.EncodeToString(in.encode()); got != g.Encoded {
			t.Errorf("%s: encoded\n%s, want\n%s", g.Name, got, g.Encoded)
		}
		if got := hex.EncodeToString(in.sum()); got != g.Tag {
			t.Errorf("%s: tag %s, want %s", g.Name, got, g.Tag)
		}
	}
}

// The tag goes in and comes out; what else is in Extra, an HTTP/3 server's parameters say, stays as it was.
func TestTagLeavesExtra(t *testing.T) {
	var kept *tls.SessionState
	base := &tls.Config{
		WrapSession: func(_ tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
			kept = ss
			return []byte("ticket"), nil
		},
		UnwrapSession: func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return kept, nil },
	}
	y := new(Guard).newLayer(base.Clone(), nil, nil)
	y.bind(base, base, tag{site: "a"})
	if _, err := base.WrapSession(tls.ConnectionState{}, &tls.SessionState{Extra: [][]byte{[]byte("x"), []byte("y")}}); err != nil {
		t.Fatal(err)
	}
	if len(kept.Extra) != 3 {
		t.Fatalf("wrapped with %q", kept.Extra)
	}
	ss, err := base.UnwrapSession(nil, tls.ConnectionState{})
	if err != nil || ss == nil || len(ss.Extra) != 2 || string(ss.Extra[0]) != "x" || string(ss.Extra[1]) != "y" {
		t.Errorf("unwrapped %+v, %v", ss, err)
	}
}

// What can be read back unambiguously is injective.
func TestTagEncodingIsInjective(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tags := map[string]tag{}
	for range 20000 {
		in := randomTag(r)
		if out, ok := decodeTag(in.encode()); !ok || out != in {
			t.Fatalf("%+v is read back as %+v", in, out)
		}
		sum := string(in.sum())
		if other, ok := tags[sum]; ok && other != in {
			t.Fatalf("%+v and %+v have one tag", in, other)
		}
		tags[sum] = in
	}
	if len(tags) == 20000 {
		t.Error("no tag came twice: the test compares nothing")
	}
}

// randomTag draws from little, so that tags meet.
func randomTag(r *rand.Rand) tag {
	text := func() string {
		b := make([]byte, r.IntN(3))
		for i := range b {
			b[i] = "\x00\x01a"[r.IntN(3)]
		}
		return string(b)
	}
	in := tag{site: text(), clientAuth: byte(r.IntN(3)), minVersion: uint16(r.IntN(2)), verifier: text(), sites: r.IntN(2) == 0, sni: text()}
	in.cas[r.IntN(2)], in.leaf[r.IntN(2)] = byte(r.IntN(2)), byte(r.IntN(2))
	return in
}

func decodeTag(b []byte) (t tag, ok bool) {
	if len(b) == 0 || b[0] != tagVersion {
		return t, false
	}
	b = b[1:]
	var fields [8][]byte
	for i := range fields {
		if len(b) < 4 {
			return t, false
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint32(len(b)) < n {
			return t, false
		}
		fields[i], b = b[:n], b[n:]
	}
	t = tag{
		sites: fields[0][0] == 1, site: string(fields[1]), clientAuth: fields[2][0], cas: authority.CADigest(fields[3]),
		minVersion: binary.BigEndian.Uint16(fields[4]), verifier: string(fields[5]), leaf: [sha256.Size]byte(fields[6]), sni: string(fields[7]),
	}
	return t, len(b) == 0 && bytes.Equal(fields[0], []byte{fields[0][0]})
}
