package h2

import "testing"

// TestCases plays every case, in one go and byte for byte: how the bytes come makes no difference.
func TestCases(t *testing.T) {
	for table, cases := range allCases() {
		for _, tc := range cases {
			t.Run(table+"/"+tc.name, func(t *testing.T) {
				wire := tc.wire()
				for _, step := range []int{0, 1, 7} {
					if got := play(wire, step); got != tc.want {
						t.Errorf("%d bytes at a time: %s, want %s (%s)", step, got, tc.want, tc.rfc)
					}
				}
			})
		}
	}
}
