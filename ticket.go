package usher

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"slices"

	"github.com/usher-http/usher/authority"
)

// A tag says what a session ticket was made under. A ticket opens that and nothing else: with another tag a full
// handshake follows. TLS 1.3 servers need not compare SNI on resumption (RFC 8446 section 4.2.11), so the policy must
// be in the ticket; TLS 1.2 servers must not resume under another SNI (RFC 6066 section 3), so the name is in it too.
//
// The encoding is canonical and means the same after a reload, after a restart and on another node: testdata/tags.json
// has golden bytes.
type tag struct {
	site       string
	clientAuth byte // authority.ClientAuth with sites, tls.ClientAuthType without
	cas        authority.CADigest
	minVersion uint16
	verifier   string
	leaf       [sha256.Size]byte
	sites      bool
	sni        string // folded; with sites under TLS 1.2 only
}

const (
	tagVersion = 1
	tagPrefix  = "usher ticket tag\x00"
)

// field appends a length-prefixed field.
func field(b, value []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// encode returns the canonical bytes: a version, then each field with its length.
func (t tag) encode() []byte {
	b := []byte{tagVersion}
	sites := byte(0)
	if t.sites {
		sites = 1
	}
	b = field(b, []byte{sites})
	b = field(b, []byte(t.site))
	b = field(b, []byte{t.clientAuth})
	b = field(b, t.cas[:])
	b = field(b, binary.BigEndian.AppendUint16(nil, t.minVersion))
	b = field(b, []byte(t.verifier))
	b = field(b, t.leaf[:])
	return field(b, []byte(t.sni))
}

// sum is what a ticket carries.
func (t tag) sum() []byte {
	digest := sha256.Sum256(t.encode())
	return append([]byte(tagPrefix), digest[:]...)
}

// forConn completes the tag for a connection.
func (t tag) forConn(cs tls.ConnectionState) tag {
	if !t.sites || cs.Version < tls.VersionTLS13 {
		t.sni = authority.CanonicalSNI(cs.ServerName)
	}
	return t
}

// bind makes c put the tag into its tickets and refuse those with another. What the caller's configuration does with
// sessions still happens: its WrapSession and UnwrapSession, else the ticket keys of the configuration that TLSConfig returned.
func (y *layer) bind(c, base *tls.Config, t tag) {
	wrap, unwrap := base.WrapSession, base.UnwrapSession
	if wrap == nil {
		wrap = y.keys.EncryptTicket
	}
	if unwrap == nil {
		unwrap = y.keys.DecryptTicket
	}
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra, t.forConn(cs).sum())
		return wrap(cs, ss)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := unwrap(ticket, cs)
		if ss == nil || err != nil {
			return nil, err
		}
		i := slices.IndexFunc(ss.Extra, isTag)
		if i < 0 || !bytes.Equal(ss.Extra[i], t.forConn(cs).sum()) {
			return nil, nil
		}
		ss.Extra = slices.Delete(ss.Extra, i, i+1)
		return ss, nil
	}
}

func isTag(extra []byte) bool { return bytes.HasPrefix(extra, []byte(tagPrefix)) }
