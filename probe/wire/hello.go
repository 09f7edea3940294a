package wire

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Hello sends a ClientHello with any bytes as the server name, which crypto/tls would not send, and returns how the server began to
// answer: "server_hello", or "alert" with the alert's name. An error is sorted by [FailureOf].
func Hello(ctx context.Context, address netip.AddrPort, serverName string, limits Limits) (answer, name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limits.withDefaults().Connect)
	defer cancel()
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello, err := clientHello(serverName)
	if err != nil {
		return "", "", err
	}
	if _, err := c.Write(hello); err != nil {
		return "", "", err
	}
	return helloAnswer(c)
}

// helloAnswer reads the first record: five bytes of header, and of the content what tells its kind (RFC 8446 sections 5.1 and 6).
func helloAnswer(r io.Reader) (answer, name string, err error) {
	var head [7]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", "", err
	}
	switch {
	case head[0] == 21 && head[1] == 3:
		return "alert", alertByte(head[6]), nil
	case head[0] == 22 && head[1] == 3 && head[5] == 2:
		return "server_hello", "", nil
	}
	return "", "", fmt.Errorf("not TLS: %x", head)
}

func alertByte(code byte) string {
	switch code {
	case 40:
		return "handshake_failure"
	case 47:
		return "illegal_parameter"
	case 50:
		return "decode_error"
	case 70:
		return "protocol_version"
	case 80:
		return "internal_error"
	case 112:
		return "unrecognized_name"
	}
	return fmt.Sprintf("alert %d", code)
}

// clientHello is a ClientHello that servers of TLS 1.2 and 1.3 take (RFC 8446 section 4.1.2), in one record.
func clientHello(serverName string) ([]byte, error) {
	random := make([]byte, 64) // the random and the session ID
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	name := vector16(append([]byte{0}, vector16([]byte(serverName))...))
	share := vector16(append([]byte{0, 0x1d}, vector16(key.PublicKey().Bytes())...))
	var extensions []byte
	for _, e := range []struct {
		kind uint16
		body []byte
	}{
		{0, name},                                // server_name
		{10, vector16([]byte{0, 0x1d, 0, 0x17})}, // groups: X25519, P-256
		{11, []byte{1, 0}},                       // point formats
		{13, vector16([]byte{4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1})}, // signatures
		{16, vector16([]byte("\x02h2\x08http/1.1"))},                           // ALPN
		{43, []byte{4, 3, 4, 3, 3}},                                            // versions 1.3, 1.2
		{51, share},                                                            // key share
		{23, nil},                                                              // extended master secret
		{0xff01, []byte{0}},                                                    // renegotiation info
	} {
		extensions = binary.BigEndian.AppendUint16(extensions, e.kind)
		extensions = append(extensions, vector16(e.body)...)
	}
	body := []byte{3, 3}
	body = append(body, random[:32]...)
	body = append(body, 32)
	body = append(body, random[32:]...)
	body = append(body, vector16([]byte{0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8})...)
	body = append(body, 1, 0)
	body = append(body, vector16(extensions)...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{22, 3, 1}, vector16(message)...), nil
}

// vector16 puts the length in two bytes before the content.
func vector16(p []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
}
