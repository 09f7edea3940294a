package gateway

import (
	"crypto/tls"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
)

// metrics are the counters of one gateway, in a registry of their own: several gateways in a process do not meet. What every
// request counts is found without a look at labels.
type metrics struct {
	registry        *prometheus.Registry
	verdicts        *series[prometheus.Counter]
	observed        *series[prometheus.Counter]
	handshakes      *prometheus.CounterVec
	handshakeErrors prometheus.Counter
	requests        *series[prometheus.Counter]
	malformed       *series[prometheus.Counter]
	duration        *series[prometheus.Observer]
	connections     *prometheus.GaugeVec
	misdirected     prometheus.Counter
	upstreamErrors  *prometheus.CounterVec
	reloads         *prometheus.CounterVec
	lastReload      prometheus.Gauge
	notAfter        *prometheus.GaugeVec
	certified       map[string]bool // the sites in notAfter
	logLost         prometheus.Counter
}

func newMetrics(version string) *metrics {
	if version == "" {
		version = "unknown"
	}
	verdicts := counters("usher_verdicts_total", "Requests by the reason of their verdict.", "reason", "proto")
	observed := counters("usher_would_refuse_total", "Requests that observe mode served and enforce mode would refuse.", "reason", "proto")
	requests := counters("usher_requests_total", "Requests by status. 499: the client went away first.", "status", "proto")
	malformed := counters("usher_malformed_requests_total",
		"Requests that were refused before anything was decided, by status. 0: with a stream error.", "status", "proto")
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "usher_request_duration_seconds",
		Help: "From the request's header section to the end of the response.", Buckets: prometheus.DefBuckets}, []string{"proto"})
	m := &metrics{
		registry:   prometheus.NewRegistry(),
		verdicts:   byReason(verdicts),
		observed:   byReason(observed),
		requests:   byStatus(requests),
		malformed:  byStatus(malformed),
		duration:   byProto(duration),
		handshakes: counters("usher_handshakes_total", "TLS and QUIC handshakes that succeeded.", "resumed", "proto"),
		handshakeErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "usher_handshake_errors_total",
			Help: "TLS handshakes over TCP that failed. Connections that sent no byte do not count."}),
		connections: gauges("usher_connections", "Open connections. The protocol is none until it is known.", "listener", "proto"),
		misdirected: prometheus.NewCounter(prometheus.CounterOpts{Name: "usher_upstream_misdirected_total",
			Help: "Responses 421 of upstreams, answered with 502."}),
		upstreamErrors: counters("usher_upstream_errors_total", "Requests that an upstream did not answer, or not to the end.", "kind"),
		reloads:        counters("usher_reloads_total", "Reloads of the configuration.", "result"),
		lastReload: prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_config_last_reload_success_timestamp",
			Help: "When the configuration was last put in place, in seconds since 1970."}),
		notAfter: gauges("usher_certificate_not_after_seconds", "When the site's first certificate to end ends, in seconds since 1970.", "site"),
		logLost: prometheus.NewCounter(prometheus.CounterOpts{Name: "usher_log_lines_lost_total",
			Help: "Lines of the log that could not be written, or not to their end."}),
	}
	build := gauges("usher_build_info", "Always 1; the labels say which build it is.", "version", "goversion")
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(verdicts, observed, requests, malformed, duration, m.handshakes, m.handshakeErrors, m.connections,
		m.misdirected, m.upstreamErrors, m.reloads, m.lastReload, m.notAfter, m.logLost, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("error")
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) verdict(v authority.Verdict, c *authority.Conn, proto string) {
	m.verdicts.of(int(v.Reason), proto).Inc()
	if waived := usher.Observed(v, c); v.Served() && waived != authority.OK {
		m.observed.of(int(waived), proto).Inc()
	}
}

func (m *metrics) request(status int, proto string, took time.Duration) {
	m.requests.of(status, proto).Inc()
	m.duration.of(0, proto).Observe(took.Seconds())
}

// handshake is for tls.Config.VerifyConnection, which runs at the end of full handshakes and of resumptions.
func (m *metrics) handshake(cs tls.ConnectionState) error {
	resumed := "no"
	if cs.DidResume {
		resumed = "yes"
	}
	m.handshakes.WithLabelValues(resumed, protoOfALPN(cs.NegotiatedProtocol)).Inc()
	return nil
}

func (m *metrics) reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// certificates shows the ends of the certificates that are served now. What stays is there all the time: whoever looks meanwhile must not
// miss it. Calls come one at a time.
func (m *metrics) certificates(sites []usher.Site) {
	gone := m.certified
	m.certified = map[string]bool{}
	for i := range sites {
		if end := firstEnd(sites[i].Certificates); !end.IsZero() {
			m.notAfter.WithLabelValues(sites[i].Name).Set(float64(end.Unix()))
			m.certified[sites[i].Name] = true
			delete(gone, sites[i].Name)
		}
	}
	for name := range gone {
		m.notAfter.DeleteLabelValues(name)
	}
}

func firstEnd(certs []tls.Certificate) (end time.Time) {
	for _, c := range certs {
		if c.Leaf != nil && (end.IsZero() || c.Leaf.NotAfter.Before(end)) {
			end = c.Leaf.NotAfter
		}
	}
	return end
}

func protoOfALPN(alpn string) string {
	if alpn == "h2" || alpn == "h3" {
		return alpn
	}
	return "h1"
}

func protoOf(r *http.Request) string {
	switch {
	case r.ProtoMajor == 3:
		return "h3"
	case r.ProtoMajor == 2 && r.TLS != nil && r.TLS.NegotiatedProtocol == "h2":
		// Not where an HTTP/1.1 connection begins with HTTP/2's preface, which net/http reads as a request.
		return "h2"
	}
	return "h1"
}
