package proxy

import "io"

// readChunked reads from as many chunks as are at hand. It waits only for the first byte.
func (c *conn) readChunked(p []byte) (n int, err error) {
	b := &c.body
	for n < len(p) {
		ready, err := c.advance()
		switch {
		case err != nil:
			return n, err
		case b.over:
			return n, io.EOF
		case c.r < c.w && ready:
			m := copy(p[n:], c.in[c.r:c.r+int(min(b.chunks.Left(), int64(c.w-c.r)))])
			c.r += m
			b.chunks.Take(m)
			n += m
			continue
		case n > 0:
			return n, nil
		}
		if room := min(int64(len(p)), b.chunks.Left()); ready && room >= direct {
			n, err = c.wait(p[:room])
			b.chunks.Take(n)
			return n, err
		}
		if err := c.more(); err != nil {
			return n, err
		}
	}
	if _, err := c.advance(); err == nil && b.over {
		return n, io.EOF
	}
	return n, nil // an error comes again with the next call
}

// advance uses up what is at hand of the coding, up to the next content. ready says that content follows; otherwise, if the end was
// not reached, more has to be read.
func (c *conn) advance() (ready bool, err error) {
	b := &c.body
	used, ready, err := b.chunks.Advance(c.in[c.r:c.w], c.pool.server.config.MaxHeaderBytes)
	c.r += used
	b.over = b.chunks.Over()
	return ready, asMalformed(err)
}
