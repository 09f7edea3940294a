package benchguard

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// An estimate is the median of a sample, with an interval that holds the true median with the given confidence. The
// interval is made of order statistics: it supposes nothing of how the values are distributed.
type estimate struct {
	median, low, high, confidence float64
}

func (e estimate) String() string {
	return fmt.Sprintf("%.4f [%.4f, %.4f] (%.1f %%)", e.median, e.low, e.high, 100*e.confidence)
}

// estimateOf wants at least 6 values for a confidence of 95 %; with fewer it takes the extremes.
func estimateOf(sample []float64) estimate {
	s := slices.Sorted(slices.Values(sample))
	n := len(s)
	// The interval from the k-th lowest to the k-th highest misses the median with twice the probability that fewer than k
	// of n fair coins show heads.
	k, miss := 1, math.Pow(0.5, float64(n))
	for p, sum := miss, miss; k < n/2; {
		p *= float64(n-k+1) / float64(k)
		if sum += p; 2*sum > 0.05 {
			break
		}
		k, miss = k+1, sum
	}
	return estimate{(s[(n-1)/2] + s[n/2]) / 2, s[k-1], s[n-k], 1 - 2*miss}
}

func TestEstimate(t *testing.T) {
	var sample []float64
	for i := range 20 {
		sample = append(sample, float64((i*7)%20+1)) // 1 to 20 in disorder
	}
	// Known: for 20 values the 6th and the 15th, with 95.9 %.
	if e := estimateOf(sample); e.median != 10.5 || e.low != 6 || e.high != 15 || math.Abs(e.confidence-0.9586) > 0.0001 {
		t.Errorf("20 values: %v", e)
	}
	// For 10 values the 2nd and the 9th, with 97.9 %.
	if e := estimateOf([]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}); e.low != 2 || e.high != 9 || math.Abs(e.confidence-0.9785) > 0.0001 {
		t.Errorf("10 values: %v", e)
	}
	if e := estimateOf([]float64{3, 1, 2}); e.median != 2 || e.low != 1 || e.high != 3 || e.confidence > 0.95 {
		t.Errorf("3 values: %v", e)
	}
}
