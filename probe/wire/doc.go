// Package wire asks servers what no well-behaved client asks: any authority on any connection, over HTTP/1.1, HTTP/2 and HTTP/3, with
// any server name, TLS version, client certificate or session. It judges nothing. Whatever a server does comes back as an [Answer] with
// a [Failure], within the time and the memory that [Limits] allow.
package wire
