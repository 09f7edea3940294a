package gateway

import (
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-http/usher/authority"
)

// A series holds the metrics of a vector whose last label is the protocol, and whose other label, if there is one, follows from
// a small number. Each is looked up when it is needed for the first time, so that it shows from then on and not before.
type series[M any] struct {
	lookUp func(number int, proto string) M
	// found has a metric for each number and protocol; other numbers and protocols are looked up each time.
	found [][len(seriesProtos)]atomic.Pointer[M]
}

var seriesProtos = [...]string{"h1", "h2", "h3"}

func newSeries[M any](numbers int, lookUp func(int, string) M) *series[M] {
	return &series[M]{lookUp: lookUp, found: make([][len(seriesProtos)]atomic.Pointer[M], numbers)}
}

// of returns the metric of a number and a protocol. It is safe for concurrent use.
func (s *series[M]) of(number int, proto string) M {
	p := slices.Index(seriesProtos[:], proto)
	if p < 0 || number < 0 || number >= len(s.found) {
		return s.lookUp(number, proto)
	}
	place := &s.found[number][p]
	m := place.Load()
	if m == nil {
		found := s.lookUp(number, proto)
		m = &found
		place.Store(m) // who looks it up at the same time finds the same
	}
	return *m
}

func byReason(v *prometheus.CounterVec) *series[prometheus.Counter] {
	return newSeries(len(authority.Reasons()), func(reason int, proto string) prometheus.Counter {
		return v.WithLabelValues(authority.Reason(reason).String(), proto)
	})
}

func byStatus(v *prometheus.CounterVec) *series[prometheus.Counter] {
	return newSeries(600, func(status int, proto string) prometheus.Counter {
		return v.WithLabelValues(strconv.Itoa(status), proto)
	})
}

func byProto(v *prometheus.HistogramVec) *series[prometheus.Observer] {
	return newSeries(1, func(_ int, proto string) prometheus.Observer { return v.WithLabelValues(proto) })
}
