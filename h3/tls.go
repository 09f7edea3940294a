package h3

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"

	"github.com/quic-go/quic-go/http3"
)

// tlsConfig returns the guard's configuration with nothing but h3 to negotiate.
func (s *Server) tlsConfig() (*tls.Config, error) {
	base := new(tls.Config)
	if s.TLSConfig != nil {
		base = s.TLSConfig.Clone()
	}
	if len(base.Certificates) == 0 && base.GetCertificate == nil && base.GetConfigForClient == nil && !s.Guard.Table().HasSites() {
		return nil, errors.New("h3: there is no certificate: put certificates into Server.TLSConfig or into the guard's sites")
	}
	base.NextProtos = []string{http3.NextProtoH3}
	guarded := s.Guard.TLSConfig(base)
	choose := guarded.GetConfigForClient
	out := guarded.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := choose(hello)
		if c == nil || err != nil {
			return c, err
		}
		// A configuration that the caller's own GetConfigForClient chose may name the protocols of TCP, or none.
		c = c.Clone()
		c.NextProtos = []string{http3.NextProtoH3}
		if s.EarlyData {
			s.bindSettings(c)
		}
		return c, nil
	}
	return out, nil
}

const settingsPrefix = "usher h3 settings\x00"

// bindSettings makes tickets remember the settings that bound what a client may send in early data. With others early
// data is not accepted: "If 0-RTT data is accepted by the server, its SETTINGS frame MUST NOT reduce any limits or alter
// any values that might be violated by the client with its 0-RTT data" (RFC 9114 section 7.2.4.2). The guard has put
// its own functions there before.
func (s *Server) bindSettings(c *tls.Config) {
	wrap, unwrap := c.WrapSession, c.UnwrapSession
	if wrap == nil || unwrap == nil {
		return
	}
	settings := binary.BigEndian.AppendUint64([]byte(settingsPrefix), uint64(s.maxHeaderBytes()))
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra, settings)
		return wrap(cs, ss)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := unwrap(ticket, cs)
		if ss == nil || err != nil {
			return nil, err
		}
		i := slices.IndexFunc(ss.Extra, func(b []byte) bool { return bytes.HasPrefix(b, []byte(settingsPrefix)) })
		if i < 0 || !bytes.Equal(ss.Extra[i], settings) {
			ss.EarlyData = false
		}
		return ss, nil
	}
}

func (s *Server) maxHeaderBytes() int {
	if s.MaxHeaderBytes <= 0 {
		return http.DefaultMaxHeaderBytes
	}
	return s.MaxHeaderBytes
}
