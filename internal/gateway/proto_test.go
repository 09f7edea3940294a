package gateway

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// net/http reads HTTP/2's preface on an HTTP/1.1 connection as a request of version 2.
func TestProtoOf(t *testing.T) {
	h2 := &tls.ConnectionState{NegotiatedProtocol: "h2"}
	for _, test := range []struct {
		request http.Request
		want    string
	}{
		{http.Request{ProtoMajor: 1}, "h1"},
		{http.Request{ProtoMajor: 1, TLS: &tls.ConnectionState{NegotiatedProtocol: "http/1.1"}}, "h1"},
		{http.Request{ProtoMajor: 2, TLS: h2}, "h2"},
		{http.Request{ProtoMajor: 3, TLS: &tls.ConnectionState{NegotiatedProtocol: "h3"}}, "h3"},
		{http.Request{Method: "PRI", ProtoMajor: 2}, "h1"},
		{http.Request{Method: "PRI", ProtoMajor: 2, TLS: &tls.ConnectionState{}}, "h1"},
	} {
		if got := protoOf(&test.request); got != test.want {
			t.Errorf("version %d, %+v: %s, want %s", test.request.ProtoMajor, test.request.TLS, got, test.want)
		}
	}
}
