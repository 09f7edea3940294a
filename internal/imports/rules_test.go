package imports

// linkage says what may be in a program because of a package: all that it imports, however far away.
type linkage int

const (
	anything   linkage = iota // whatever its own rule and go.mod allow
	extended                  // the standard library and golang.org/x
	onlyGolang                // the standard library
)

// rule is what one package, or a tree of packages, may do. Folders are relative to the module; "" is its root.
type rule struct {
	folder string   // the package; with /... at the end, the folder and all below it
	why    string   // the reason of the rule, printed with every violation
	may    []string // packages of this module that it may import, as folders (with /... for trees)

	links   linkage
	forbids []string // imports that are refused in its own files
	quic    bool     // may import quic-go

	noGo    bool // no go statement
	noClock bool // no call that asks what time it is or waits

	forTests bool // imported by tests and by packages of this kind alone
	maxMain  int  // most lines of main.go; 0 is no limit
}

// quicGo is the one large dependency that a user of the library must not get unasked.
const quicGo = "github.com/quic-go/quic-go"

// pureForbids is what a pure package has no use for: a protocol stack, a log, a clock.
var pureForbids = []string{"net/http", "net/http/...", "crypto/tls", "log", "log/...", "time"}

const (
	whyLibrary = "people put it into servers of their own: it brings no dependencies"
	whyGateway = "the gateway stands on all the parts; none of them knows it"
)

// rules is DESIGN.md's "The house" as data. The first entry that fits a package is its rule.
var rules = []rule{
	{folder: "authority", why: "the decision is pure: the same question has the same answer, at any time, in any program",
		links: extended, forbids: pureForbids, noGo: true, noClock: true},
	{folder: "originframe", why: "the ORIGIN payload is pure, and the same for HTTP/2, HTTP/3 and clients",
		may: []string{"authority"}, links: extended, forbids: pureForbids, noGo: true, noClock: true},
	{folder: "", why: whyLibrary,
		may: []string{"authority", "originframe"}, links: extended},
	{folder: "h3", why: "the one public package that links quic-go, for those who want HTTP/3",
		may: []string{"", "authority", "originframe"}, quic: true},
	{folder: "coalesce", why: whyLibrary,
		may: []string{"authority", "originframe"}, links: extended},
	{folder: "coalesce/h3", why: "the client's HTTP/3 is apart from the client, so that only who wants it links quic-go",
		may: []string{"coalesce", "authority", "originframe"}, quic: true},
	{folder: "probe/...", why: "the prober judges any server, so it must not share a mind with the gateway",
		may: []string{"probe/...", "coalesce", "coalesce/h3", "authority", "originframe"}, quic: true},
	{folder: "statuscode", why: "the guide is data for everybody: it brings no dependencies",
		links: extended},
	{folder: "statuscode/web", why: "the guide's pages are the same with and without a gateway: what they show of one is handed in",
		may: []string{"statuscode"}, links: extended},

	{folder: "internal/localca", why: "it makes keys: as little code as can be stands beside them",
		links: onlyGolang},
	{folder: "internal/message", why: "one request and response type for all protocols: who reads and who writes it do not know each other",
		links: onlyGolang, forbids: pureForbids, noGo: true, noClock: true},
	{folder: "internal/accesslog", why: "a line of the log is data in and bytes out: what it knows of a request is what it is handed",
		links: onlyGolang, forbids: []string{"net/http", "net/http/...", "crypto/tls", "os", "log"}, noGo: true, noClock: true},
	{folder: "internal/h2", why: "the session is bytes in, bytes and events out: it knows neither sites nor sockets nor the time, so that it can be fuzzed and compared",
		may: []string{"internal/message"}, forbids: []string{"net", "net/http", "net/http/...", "crypto/tls", "os", "log", "log/..."}, noGo: true, noClock: true},
	{folder: "internal/http1", why: "the codec is bytes in, messages out, for both sides: it knows neither sockets nor the time, so that it can be fuzzed and compared",
		may: []string{"internal/message"}, links: onlyGolang, forbids: []string{"net", "net/http", "net/http/...", "crypto/tls", "os", "log", "log/...", "time"}, noGo: true, noClock: true},
	{folder: "internal/tcpio", why: "a socket is a socket, whatever is said on it, and whoever waits for it waits in the goroutine that asks",
		links: onlyGolang, forbids: []string{"net/http", "net/http/...", "crypto/tls", "log", "log/..."}, noGo: true, noClock: true},
	{folder: "internal/proxy/...", why: "upstreams are reached alike, whoever asks",
		may: []string{"internal/proxy/...", "internal/message", "internal/http1", "internal/tcpio"}},
	{folder: "internal/fleet/...", why: "the shared store keeps what the gateway gives it",
		may: []string{"internal/fleet/..."}},
	{folder: "internal/gateway/...", why: whyGateway,
		may: []string{"internal/gateway/...", "", "authority", "originframe", "h3", "statuscode", "statuscode/web",
			"internal/localca", "internal/message", "internal/accesslog", "internal/h2", "internal/http1", "internal/proxy/...", "internal/tcpio", "internal/fleet/..."}, quic: true},
	{folder: "internal/cli/...", why: "the commands put everything together, and nothing but main stands above them",
		may: []string{"internal/cli/...", "internal/gateway/...", "", "authority", "originframe", "h3", "coalesce", "coalesce/h3", "probe/...",
			"statuscode", "statuscode/web", "internal/localca", "internal/h2", "internal/proxy/...", "internal/fleet/..."}},
	{folder: "cmd/usher", why: "main is a shell round internal/cli",
		may: []string{"internal/cli"}, maxMain: 40},

	{folder: "internal/imports", why: "it is a test and nothing else", links: onlyGolang, forTests: true},
	{folder: "internal/testenv", why: "a test helper is no part of the product", links: onlyGolang, forTests: true},
	{folder: "internal/testca", why: "a test helper is no part of the product",
		may: []string{"internal/localca"}, links: onlyGolang, forTests: true},
	{folder: "internal/memnet", why: "a test helper is no part of the product", links: extended, forTests: true},
	{folder: "internal/rawh2", why: "a client that can say anything, so that servers can be asked what no good client asks",
		links: extended, forTests: true},
	{folder: "internal/rawh3", why: "a client that can say anything, so that servers can be asked what no good client asks",
		quic: true, forTests: true},
	{folder: "internal/benchguard/...", why: "a measurement of the guard is no part of the product",
		may:      []string{"internal/benchguard/...", "", "authority", "h3", "internal/testca", "internal/testenv", "internal/memnet"},
		forTests: true},
	{folder: "internal/benchproxy", why: "a measurement of the gateway is no part of the product",
		may: []string{"internal/testca", "internal/testenv"}, forTests: true},
	{folder: "internal/soak", why: "a long test of the gateway is no part of the product",
		may: []string{"internal/testca", "internal/testenv", "internal/rawh2"}, forTests: true, quic: true},
	{folder: "internal/e2e/...", why: "end-to-end tests are where probe and gateway meet; they are no part of the product",
		may: []string{"internal/e2e/...", "internal/localca", "internal/testca", "internal/testenv", "internal/memnet", "internal/rawh2", "internal/rawh3"}, forTests: true},
}

// strangers never import each other, not even in tests: they meet in end-to-end tests.
var strangers = [2]string{"probe/...", "internal/gateway/..."}
