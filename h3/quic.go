package h3

import (
	"time"

	"github.com/quic-go/quic-go"
)

// quicConfig returns the caller's configuration with the hooks of the server in it.
func (s *Server) quicConfig() *quic.Config {
	c := s.prepareQUIC(s.QUICConfig)
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(client *quic.ClientInfo) (*quic.Config, error) {
			own, err := choose(client)
			if err != nil {
				return nil, err
			}
			return s.prepareQUIC(own), nil
		}
	}
	return c
}

func (s *Server) prepareQUIC(base *quic.Config) *quic.Config {
	c := new(quic.Config)
	if base != nil {
		c = base.Clone()
	}
	c.Allow0RTT = s.EarlyData
	c.Tracer = tracer(c.Tracer)
	if idle := limit(s.IdleTimeout, defaultIdleTimeout); c.MaxIdleTimeout == 0 && idle > 0 {
		// QUIC's own time-out ends connections without a word, so the server's goes first.
		c.MaxIdleTimeout = idle + 10*time.Second
	}
	return c
}
