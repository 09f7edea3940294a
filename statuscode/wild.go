package statuscode

// InTheWild returns what is known of a code that the registry does not have, and that is met all the same; empty for others.
func InTheWild(number int) string { return wild[number] }

var wild = map[int]string{
	419: "Laravel answers it when the token of a form has expired (Page Expired)",
	420: "Twitter's API once answered it to clients that were too fast; today that is 429",
	440: "IIS and Exchange answer it when a login has timed out",
	444: "nginx's configuration has it for closing the connection without an answer; it never goes over the wire",
	449: "Microsoft's servers used it to ask for a retry with more information",
	494: "nginx logs it for headers that are too large; the client sees 400",
	495: "nginx logs it for a client certificate that does not verify; the client sees 400",
	496: "nginx logs it for a missing client certificate; the client sees 400",
	497: "nginx logs it for plain HTTP on an https port; the client sees 400",
	499: "nginx logs it when the client closed the connection before the answer",
	509: "some shared hosts answer it when the bandwidth of an account is used up",
	520: "Cloudflare answers it when the origin's answer makes no sense",
	521: "Cloudflare answers it when the origin refuses connections",
	522: "Cloudflare answers it when connecting to the origin times out",
	523: "Cloudflare answers it when the origin cannot be reached",
	524: "Cloudflare answers it when the origin has accepted the connection and answers too late",
	525: "Cloudflare answers it when the TLS handshake with the origin fails",
	526: "Cloudflare answers it when the origin's certificate is not valid",
	598: "some proxies log it for a time-out while reading",
	599: "some proxies log it for a time-out while connecting",
}
