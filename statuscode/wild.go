package statuscode

import "strconv"

// InTheWild returns what is known of a code that the registry does not have, and that is met all the same; empty for others.
func InTheWild(number int) string { return wild[number] }

// WildIn returns the first number in a query of which [InTheWild] knows something, else 0.
func WildIn(query string) int {
	for _, t := range words(clip(query, mostQuery)) {
		if n, err := strconv.Atoi(t); err == nil && wild[n] != "" {
			return n
		}
	}
	return 0
}

var wild = map[int]string{
	419: "Laravel answers it when the token of a form has expired (Page Expired); others say 403",
	420: "Twitter's API once answered it to clients that were too fast; today that is 429",
	440: "IIS and Exchange answer it when a login has timed out; others say 401",
	444: "nginx's configuration has it for closing the connection without an answer; it never goes over the wire",
	449: "Microsoft's servers used it to ask for a retry with more information",
	460: "AWS's load balancer logs it when the client closed the connection before the answer",
	463: "AWS's load balancer answers it when X-Forwarded-For has more than 30 addresses",
	464: "AWS's load balancer answers it when the protocol of the request does not fit the targets",
	494: "nginx's error_page has it for headers that are too large; client and log see 400",
	495: "nginx's error_page has it for a client certificate that does not verify; client and log see 400",
	496: "nginx's error_page has it for a missing client certificate; client and log see 400",
	497: "nginx's error_page has it for plain HTTP on an https port; client and log see 400",
	498: "ArcGIS has it for a token that is invalid or has expired, mostly in the content of a 200; others say 401",
	499: "nginx logs it when the client closed the connection before the answer",
	509: "some shared hosts answer it when the bandwidth of an account is used up",
	520: "Cloudflare answers it when the origin's answer is empty or makes no sense; others say 502",
	521: "Cloudflare answers it when the origin refuses connections; others say 502",
	522: "Cloudflare answers it when connecting to the origin times out, or the origin does not even acknowledge the request; others say 504",
	523: "Cloudflare answers it when the origin cannot be reached; others say 502",
	524: "Cloudflare answers it when the origin has accepted the connection and answers too late; others say 504",
	525: "Cloudflare answers it when the TLS handshake with the origin fails; others say 502",
	526: "Cloudflare answers it when the origin's certificate is not valid; others say 502",
	530: "Cloudflare answers it when it cannot resolve the origin's name; the page names an error of its own, 1000 and up",
	561: "AWS's load balancer answers it when the identity provider returns an error at login",
	598: "some proxies log it for a time-out while reading",
	599: "some proxies log it for a time-out while connecting",
}
