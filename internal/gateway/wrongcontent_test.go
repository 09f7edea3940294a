package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A brokenContent is one whose reading ends with an error and, since quic-go has ended the stream then, with the end of the request's context.
type brokenContent struct {
	err error
	end context.CancelFunc
}

func (c *brokenContent) Read([]byte) (int, error) {
	c.end()
	return 0, c.err
}

func (c *brokenContent) Close() error { return nil }

// RFC 9114 section 4.1.2: "Intermediaries that process HTTP requests or responses [...] MUST NOT forward a malformed request or response."
// quic-go resets the stream of one that has content behind a length of 0. Whether the context has ended by the time that is looked at is
// a matter of luck, and must not decide.
func TestContentBehindLengthOfZero(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		wrong bool
	}{
		{"too much", errors.New("peer sent too much data"), true},
		{"the end", io.EOF, false},
		// The request is not whole then.
		{"a reset by the client", &quic.StreamError{Remote: true, ErrorCode: quic.StreamErrorCode(http3.ErrCodeRequestCanceled)}, true},
		{"the connection ends", &quic.IdleTimeoutError{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			content := &brokenContent{test.err, cancel}
			r := (&http.Request{Body: content}).WithContext(ctx)
			if wrong := newBody(httptest.NewRecorder(), r, 0).isWrong(); wrong != test.wrong {
				t.Errorf("malformed %v, want %v", wrong, test.wrong)
			}
		})
	}
}
