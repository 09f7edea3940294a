package authority

// A Request is what somebody asks for on a connection, as far as the decision looks at it.
type Request struct {
	Scheme Scheme
	// Authority is the raw text that counts: of an absolute-form target, else :authority, else Host.
	Authority string
	// Hosts are the Host field lines that stand beside an :authority; they must agree with it (RFC 9113 section 8.3.1). In
	// HTTP/1.1 absolute-form they are left out (RFC 9112 section 3.2.2).
	Hosts []string
	// ClientCert reports, for a request from a trusted gateway, whether its Client-Cert fields (RFC 9440) hold a chain that
	// verifies under the site's CA set. nil: no such fields.
	ClientCert func(*Site) bool
}

// Decide says what to do with a request on a connection. It asks, in this order, and the first failure that
// is not waived gives the reason:
//
//  1. is the authority well formed, and do its spellings agree?
//  2. does the scheme fit the connection?
//  3. is the origin one of ours?
//  4. is it served on this listener?
//  5. does a certificate of this connection cover the host? (RFC 9110 section 7.4)
//  6. did this connection pass the site's client authentication?
//  7. does it satisfy the site's minimum TLS version?
//  8. if the site wants connections of its own: did the handshake choose this site?
//
// 5, 7 and 8 are for https origins. 1, 3, 4 and 6 are never waived. A nil Conn is NoFacts: missing facts never serve.
// Decide is safe for concurrent use. It does not allocate where the authority is one of the last few that were
// asked for on the connection.
func (t *Table) Decide(c *Conn, r Request) Verdict {
	// The way of nearly every request. Whatever hangs on more than table, facts, scheme and authority must not be
	// answered from the memo: Host fields, and the client certificate that a trusted gateway hands on.
	if c != nil && len(r.Hosts) == 0 && (r.ClientCert == nil || !c.Trusted) {
		if v := c.memo.get(t.generation, r.Scheme, r.Authority); v != nil {
			return *v
		}
	}
	return t.decideAnew(c, r)
}

func (t *Table) decideAnew(c *Conn, r Request) Verdict {
	if c == nil {
		return Answer(NoFacts)
	}
	if len(r.Hosts) > 0 {
		if reason := agree(r); reason != OK {
			return verdict(reason, nil, 400)
		}
	}
	if r.ClientCert != nil && c.Trusted {
		// The answer hangs on this request's own fields.
		return t.decide(c, r, nil)
	}
	v := t.decide(c, r, nil)
	if v.Reason != MalformedAuthority {
		c.memo.put(t.generation, r.Scheme, r.Authority, v)
	}
	return v
}

// agree compares the Host field lines with the authority, both normalised, an absent port as the scheme's default. A
// Host field may come once only, even where all its lines agree (RFC 9112 section 3.2).
func agree(r Request) Reason {
	a, err := Parse(r.Authority)
	if err != nil {
		return MalformedAuthority
	}
	if len(r.Hosts) > 1 {
		return MalformedAuthority
	}
	b, err := Parse(r.Hosts[0])
	if err != nil {
		return MalformedAuthority
	}
	if NewOrigin(r.Scheme, a) != NewOrigin(r.Scheme, b) {
		return HostConflict
	}
	return OK
}

// decide asks the questions. tr is nil but for explanations.
func (t *Table) decide(c *Conn, r Request, tr *trace) Verdict {
	a, err := Parse(r.Authority)
	if !tr.ask(1, MalformedAuthority, err == nil, err) {
		return verdict(MalformedAuthority, nil, 400)
	}
	d := decision{t: t, c: c, r: r, tr: tr}
	d.excused = c.Trusted || c.Terminated || t.options.Mode == Observe
	scheme, ok := d.scheme()
	if !ok {
		return verdict(SchemeMismatch, nil, 421)
	}
	d.origin = NewOrigin(scheme, a)
	tr.about(d.origin)
	if !t.withSites {
		return d.withoutSites()
	}
	if scheme == HTTP {
		return d.plain()
	}
	h := t.find(d.origin, c)
	if !tr.ask(3, UnknownOrigin, h.site != nil, nil) {
		return d.unknown()
	}
	return d.ofSite(h)
}

// A decision is one run through the questions.
type decision struct {
	t       *Table
	c       *Conn
	r       Request
	tr      *trace
	origin  Origin
	excused bool // 2, 5, 7 and 8 are recorded, not enforced
	waived  Reason
}

// holds asks one of the questions that can be waived.
func (d *decision) holds(question int, reason Reason, passed bool, detail any) bool {
	if passed || !d.excused {
		return d.tr.ask(question, reason, passed, detail)
	}
	d.tr.waive(question, reason, detail)
	if d.waived == OK {
		d.waived = reason
	}
	return true
}

// scheme asks question 2 and returns the scheme that the rest is asked for. Where observing waives the question, that
// is the connection's own: an http scheme inside TLS must not lead past the questions for https origins.
func (d *decision) scheme() (Scheme, bool) {
	own := d.c.scheme()
	if !d.holds(2, SchemeMismatch, d.r.Scheme == own, d.r.Scheme) {
		return NoScheme, false
	}
	if d.r.Scheme != NoScheme && (d.c.Trusted || d.c.Terminated) {
		return d.r.Scheme, true
	}
	return own, true
}

func (d *decision) serve(s *Site) Verdict {
	v := verdict(OK, s, 200)
	v.Waived = d.waived
	return v
}

// refuse answers 421. Where the refused host is the one that the connection was made for, and a new connection might
// cure it, this connection has no further use.
func (d *decision) refuse(reason Reason, s *Site) Verdict {
	v := verdict(reason, s, 421)
	v.Waived = d.waived
	v.Close = reason.aboutConnection() && d.origin.host.host == d.c.SNI
	return v
}

// unknown refuses an origin that is none of ours: with 404 only where that tells nobody anything.
func (d *decision) unknown() Verdict {
	v := d.refuse(UnknownOrigin, nil)
	if d.t.options.UnknownNotFound && d.origin.scheme == HTTPS &&
		d.c.covers(d.origin.host) && d.origin.host.host == d.c.SNI {
		v.status = 404
	}
	return v
}

// withoutSites applies the certificate rule alone.
func (d *decision) withoutSites() Verdict {
	if d.origin.scheme == HTTPS && !d.holds(5, CertificateMismatch, d.c.covers(d.origin.host), d.c) {
		return d.refuse(CertificateMismatch, nil)
	}
	if d.c.PerSNI && !d.tr.ask(6, ClientAuthMismatch, d.samePolicy(), d.c) {
		return d.refuse(ClientAuthMismatch, nil)
	}
	return d.serve(nil)
}

func (d *decision) samePolicy() bool {
	host := d.origin.host.host
	return host == d.c.SNI || d.t.options.SamePolicy != nil && d.t.options.SamePolicy(d.c.SNI, host)
}

// plain answers http origins: served where the site wants that and is on this listener, else sent to https.
func (d *decision) plain() Verdict {
	h := d.t.find(d.origin, d.c)
	ours := h.site != nil && h.site.PlainHTTP && h.owns(d.origin.host)
	var secure hit
	if !ours || !d.t.here(h.site, d.origin, d.c) {
		secure = d.t.anywhere(d.origin.host)
	}
	if !d.tr.ask(3, UnknownOrigin, ours || secure.site != nil, nil) {
		return d.unknown()
	}
	if secure.site == nil {
		return d.ofSite(h)
	}
	v := verdict(Redirect, secure.site, 308)
	v.Port = secure.site.AdvertisedPort(secure.port)
	v.Waived = d.waived
	return v
}

// ofSite asks questions 4 to 8.
func (d *decision) ofSite(h hit) Verdict {
	c, s, https := d.c, h.site, d.origin.scheme == HTTPS
	d.tr.chose(s)
	if !d.tr.ask(4, WrongListener, d.t.here(s, d.origin, c), c) {
		return d.refuse(WrongListener, s)
	}
	if https && !d.holds(5, CertificateMismatch, c.covers(d.origin.host) && h.owns(d.origin.host), c) {
		return d.refuse(CertificateMismatch, s)
	}
	if !d.tr.ask(6, ClientAuthMismatch, d.authenticated(s), c) {
		return d.refuse(ClientAuthMismatch, s)
	}
	if https && !d.holds(7, TLSVersionMismatch, c.Version >= s.MinVersion, c) {
		return d.refuse(TLSVersionMismatch, s)
	}
	if https && !d.holds(8, CoalescingRefused, !s.OwnConnections || c.Site == s.Name, c) {
		return d.refuse(CoalescingRefused, s)
	}
	return d.serve(s)
}

// authenticated asks question 6. It is asked of http origins too: nothing may lead past it.
func (d *decision) authenticated(s *Site) bool {
	c := d.c
	switch {
	case s.ClientAuth == None:
		return true
	case c.Trusted:
		return d.r.ClientCert != nil && d.r.ClientCert(s)
	case c.ClientCAs != s.ClientCAs || !c.Secure:
		return false
	case s.ClientAuth == Optional:
		return c.ClientAuth != None
	}
	return c.ClientAuth != None && c.Verified
}
