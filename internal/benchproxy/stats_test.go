package benchproxy

import (
	"math"
	"slices"
	"testing"
)

// median of a sample; NaN of none.
func median(sample []float64) float64 {
	s := slices.Sorted(slices.Values(sample))
	if len(s) == 0 {
		return math.NaN()
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// percentile p (0 to 100) by nearest rank: the lowest value that at least p per cent of the sample do not exceed. NaN of none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// A spread is the median of ratios with the lowest and the highest.
type spread struct{ Median, Low, High float64 }

// ratios compares round by round: what disturbs the machine for longer than a round cancels out. Rounds in which one of
// the two has no number (NaN) are left out.
func ratios(a, b []float64) spread {
	var r []float64
	for i := range min(len(a), len(b)) {
		if q := a[i] / b[i]; !math.IsNaN(q) {
			r = append(r, q)
		}
	}
	if len(r) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{median(r), slices.Min(r), slices.Max(r)}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		sample []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(test.sample); got != test.want {
			t.Errorf("%v: %v, want %v", test.sample, got, test.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("there is a median of nothing")
	}
}

func TestPercentile(t *testing.T) {
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	for _, test := range []struct {
		sorted  []float64
		p, want float64
	}{{hundred, 50, 50}, {hundred, 99, 99}, {hundred, 99.5, 100}, {hundred, 0, 1}, {hundred, 100, 100}, {[]float64{7}, 99, 7}, {[]float64{1, 2, 3}, 50, 2}} {
		if got := percentile(test.sorted, test.p); got != test.want {
			t.Errorf("percentile %v of %d values: %v, want %v", test.p, len(test.sorted), got, test.want)
		}
	}
	if !math.IsNaN(percentile(nil, 50)) {
		t.Error("there is a percentile of nothing")
	}
}

func TestRatios(t *testing.T) {
	nan := math.NaN()
	if got := ratios([]float64{10, 30, 80, 5}, []float64{10, 10, 20, nan}); got != (spread{3, 1, 4}) {
		t.Errorf("got %v", got)
	}
	if got := ratios([]float64{nan}, []float64{1}); !math.IsNaN(got.Median) {
		t.Errorf("got %v of nothing", got)
	}
}
