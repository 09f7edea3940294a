package soak

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
)

// endless is the size of an answer that lasts until somebody has had enough.
const endless = math.MaxInt64

// A cut says where a message is broken off on purpose.
type cut int

const (
	whole        cut = iota
	beforeAnswer     // the upstream goes instead of answering
	inHeader         // the upstream goes in the middle of the header section
	inContent        // who sends goes in the middle of the content
	receiving        // the client goes while it receives
)

// A framing is how an upstream of HTTP/1.1 ends its content.
type framing int

const (
	byLength framing = iota
	chunked
	untilClose
)

// An order is when the upstream answers.
type order int

const (
	afterContent order = iota
	early              // before it reads the content
	duplex             // while it reads the content
)

type field struct{ name, value string }

// A spec is one exchange, as both sides are to play it.
type spec struct {
	id     uint64 // stands in the path of the request, and the contents are made from it
	rng    uint64 // for what need not be told: where things are split, how long a pause is
	host   string
	method string
	fields []field

	size     int64 // of the request's content
	known    bool  // it has a length
	trailers bool
	expect   bool // HTTP/1.1: Expect: 100-continue
	slow     bool // with pauses

	clientCut cut // whole, inContent, receiving
	clientAt  int64
	abrupt    bool // with a reset of TCP

	status         int
	answerFields   []field
	answerSize     int64
	framing        framing
	answerTrailers bool
	informs        int
	order          order
	slowAnswer     bool
	silent         bool // no answer ever comes
	lastAnswer     bool // Connection: close
	hangsUp        bool // the upstream closes behind the answer, and does not say so

	serverCut    cut // whole, beforeAnswer, inHeader, inContent
	serverAt     int64
	serverAbrupt bool
}

// bodyless says that the answer has no content although it may have a length.
func (s *spec) bodyless() bool {
	return s.method == "HEAD" || s.status == http.StatusNoContent || s.status == http.StatusNotModified
}

// due is how much content the client must get.
func (s *spec) due() int64 {
	if s.bodyless() {
		return 0
	}
	return s.answerSize
}

// idempotent requests may reach an upstream twice (RFC 9110 section 9.2.2).
func (s *spec) idempotent() bool { return s.method != "POST" }

// broken says that somebody breaks the exchange off, as far as that was planned.
func (s *spec) broken() bool { return s.clientCut != whole || s.serverCut != whole }

func (s *spec) String() string {
	size := func(n int64) string {
		if n == endless {
			return "endless"
		}
		return fmt.Sprint(n)
	}
	words := []string{fmt.Sprintf("%016x %s %s, %s bytes", s.id, s.method, s.host, size(s.size))}
	say := func(when bool, format string, args ...any) {
		if when {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	say(!s.known, "length unknown")
	say(s.trailers, "trailers")
	say(s.expect, "expects 100")
	say(s.slow, "slow")
	say(s.clientCut == inContent, "client goes at byte %d of it (abrupt: %v)", s.clientAt, s.abrupt)
	say(s.clientCut == receiving, "client goes at byte %d of the answer (abrupt: %v)", s.clientAt, s.abrupt)
	words = append(words, fmt.Sprintf("answer %d, %s bytes", s.status, size(s.answerSize)),
		[]string{"by length", "chunked", "until close"}[s.framing], []string{"after the content", "early", "duplex"}[s.order])
	say(s.answerTrailers, "trailers")
	say(s.informs > 0, "%d interim", s.informs)
	say(s.slowAnswer, "slow")
	say(s.silent, "never comes")
	say(s.lastAnswer, "connection: close")
	say(s.hangsUp, "hangs up")
	say(s.serverCut == beforeAnswer, "upstream goes before it (abrupt: %v)", s.serverAbrupt)
	say(s.serverCut == inHeader, "upstream goes in its header section (abrupt: %v)", s.serverAbrupt)
	say(s.serverCut == inContent, "upstream goes at byte %d of it (abrupt: %v)", s.serverAt, s.serverAbrupt)
	return strings.Join(words, "; ")
}

// Limits are what a session can bear.
type limits struct {
	size    int64   // of a content that is sent, at most
	answer  int64   // of a content that is received, at most
	http1   bool    // one exchange at a time, one direction after the other
	expects bool    // the client knows how to wait for 100
	grains  []int64 // by about how much windows grow at a time
}

// Which hosts are served by what, see server_test.go.
const (
	plainHost  = "plain.test"  // net/http, plaintext
	rawHost    = "raw.test"    // scripted, plaintext
	secureHost = "secure.test" // scripted, TLS
	h1Host     = "h1.test"     // net/http, TLS, HTTP/1.1
	h2Host     = "h2.test"     // net/http, TLS, HTTP/2
	staleHost  = "stale.test"  // scripted, plaintext, hangs up after answers
)

var hosts = []string{plainHost, rawHost, rawHost, secureHost, h1Host, h2Host, staleHost}

func scripted(host string) bool { return host == rawHost || host == secureHost || host == staleHost }

// newSpec makes up an exchange.
func newSpec(r *rand.Rand, id uint64, l limits) *spec {
	s := &spec{id: id, rng: r.Uint64(), host: pick(r, hosts), known: true, status: 200}
	s.request(r, l)
	s.answer(r, l)
	if s.host == staleHost {
		return s
	}
	switch r.IntN(16) {
	case 0, 1:
		s.clientBreaks(r, l)
	case 2, 3:
		s.serverBreaks(r)
	}
	return s
}

func (s *spec) request(r *rand.Rand, l limits) {
	s.fields = fields(r)
	if s.host == staleHost || chance(r, 0.3) {
		// A connection that is closed at the wrong moment must not show: such a request can be sent again.
		s.method = pick(r, []string{"GET", "GET", "GET", "HEAD"})
		return
	}
	s.method = pick(r, []string{"POST", "POST", "POST", "PUT"})
	s.size = size(r, l.size)
	s.known = chance(r, 0.5)
	s.trailers = (!s.known || s.size > 0 && !l.http1) && chance(r, 0.3)
	s.expect = l.expects && s.size > 0 && chance(r, 0.1)
	s.slow = chance(r, 0.1)
	switch {
	case chance(r, 0.1):
		s.order = early
	case !l.http1 && chance(r, 0.2):
		s.order = duplex
	}
}

func (s *spec) answer(r *rand.Rand, l limits) {
	s.answerFields = fields(r)
	s.answerSize = size(r, l.answer)
	s.framing = framing(r.IntN(2))
	s.status = pick(r, []int{200, 200, 200, 201, 203, 400, 404, 410, 500, 503, 204, 304})
	// A server of net/http races with itself when a stream of HTTP/2 is reset while it sends an interim answer.
	if s.host != h2Host && chance(r, 0.15) {
		s.informs = 1 + r.IntN(3)
	}
	s.slowAnswer = chance(r, 0.1)
	if s.order != afterContent {
		// Clients of HTTP/2 in x/net take any other status for a sign that the content is not wanted, and send no more of it.
		s.status = pick(r, []int{200, 201, 203})
	}
	if s.bodyless() && s.method != "HEAD" {
		s.answerSize, s.framing = 0, byLength
	}
	s.answerTrailers = s.framing == chunked && s.method != "HEAD" && chance(r, 0.3)
	if !scripted(s.host) {
		return
	}
	switch {
	case s.host == staleHost:
		s.hangsUp = chance(r, 0.3)
	case !s.bodyless() && !s.answerTrailers && chance(r, 0.2):
		s.framing, s.lastAnswer = untilClose, true
	default:
		s.lastAnswer = chance(r, 0.1)
	}
}

func (s *spec) clientBreaks(r *rand.Rand, l limits) {
	s.abrupt = chance(r, 0.5)
	end := s.size // what is known to be long can go without its last byte; else the end is a thing of its own
	if s.known {
		end--
	}
	if end >= 0 && chance(r, 0.5) && s.order == afterContent && !s.expect {
		s.clientCut, s.clientAt = inContent, r.Int64N(end+1)
		return
	}
	s.clientCut = receiving
	switch {
	case s.order != afterContent || s.bodyless():
	case chance(r, 0.2):
		s.silent, s.informs = true, 0
	case chance(r, 0.3):
		s.answerSize, s.clientAt, s.slowAnswer = endless, r.Int64N(min(200_000, l.answer)), false
		if s.framing == byLength {
			s.framing = chunked
		}
	default:
		s.clientAt = r.Int64N(max(s.answerSize, 1))
	}
}

func (s *spec) serverBreaks(r *rand.Rand) {
	s.serverAbrupt = chance(r, 0.4)
	s.informs = 0
	switch {
	case s.bodyless() || chance(r, 0.2):
		s.serverCut = beforeAnswer
	case scripted(s.host) && chance(r, 0.2):
		s.serverCut, s.serverAt = inHeader, r.Int64N(20)
	case s.framing == byLength && s.answerSize == 0:
		s.serverCut = beforeAnswer
	default:
		s.serverCut = inContent
		end := s.answerSize
		if s.framing == byLength {
			end--
		}
		s.serverAt = r.Int64N(end + 1)
		// Where nothing says how long the content is, an end is an end: crypto/tls, too, takes one without an alert for that.
		s.serverAbrupt = s.serverAbrupt || s.framing == untilClose
	}
}

// Around these sizes something ends: a frame, a record, a window, a buffer.
var edges = []int64{0, 1, 2, 16383, 16384, 16385, 32767, 32768, 32769, 65534, 65535, 65536, 65537, 262143, 262144, 262145}

func size(r *rand.Rand, most int64) int64 {
	n := int64(0)
	switch r.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		n = pick(r, edges)
	case 8, 9, 10, 11, 12, 13:
		n = r.Int64N(2000)
	case 14:
		n = r.Int64N(4 << 20)
	default:
		n = int64(math.Exp(r.Float64() * math.Log(300_000)))
	}
	if n > most {
		n = r.Int64N(most + 1)
	}
	return n
}

var words = []string{"", "a", "no-cache", "text/html;q=0.9, */*;q=0.1", "the quick brown fox", "0123456789", `W/"5f3c"`}

// fields makes up field lines. Some values come again and again, so that header compression finds them in its table.
func fields(r *rand.Rand) []field {
	list := make([]field, r.IntN(8))
	for i := range list {
		value := pick(r, words)
		switch r.IntN(8) {
		case 0, 1, 2:
			value = text(r, r.IntN(60))
		case 3:
			value = text(r, r.IntN(2000))
		}
		list[i] = field{fmt.Sprintf("X-Soak-%d", i), value}
	}
	return list
}

func text(r *rand.Rand, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=;,/+~!"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }
