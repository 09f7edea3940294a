package accesslog

import (
	"sync/atomic"
	"time"
)

// A stamp is the part of a time that stays the same for a second.
type stamp struct {
	second int64
	zone   *time.Location
	date   string // 2006-01-02T15:04:05
	offset string // Z or -07:00
}

// lastStamp is the stamp that was used last; most lines are of the same second.
var lastStamp atomic.Pointer[stamp]

func stampOf(t time.Time) *stamp {
	second, zone := t.Unix(), t.Location()
	if s := lastStamp.Load(); s != nil && s.second == second && s.zone == zone {
		return s
	}
	text := t.Format(time.RFC3339)
	split := len("2006-01-02T15:04:05") // years have four digits
	s := &stamp{second: second, zone: zone, date: text[:split], offset: text[split:]}
	lastStamp.Store(s)
	return s
}

// appendTime writes t as time.RFC3339Nano does: no zeros at the end of the fraction, and none at all for a whole second.
func appendTime(dst []byte, t time.Time) []byte {
	s := stampOf(t)
	dst = append(dst, s.date...)
	if n := t.Nanosecond(); n != 0 {
		dst = appendFraction(dst, time.Duration(n))
	}
	return append(dst, s.offset...)
}

// appendTimeMillis writes t with three digits of the second, whatever they are.
func appendTimeMillis(dst []byte, t time.Time) []byte {
	s := stampOf(t)
	ms := t.Nanosecond() / 1e6
	dst = append(dst, s.date...)
	dst = append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	return append(dst, s.offset...)
}

// appendFraction writes the decimal point and the digits behind it, without zeros at the end, of a duration between 0 and 1 second,
// both excluded.
//
// It is also the shortest decimal that reads back as d.Seconds(), which is what strconv writes: Seconds is the float64 nearest to
// these at most nine digits, and no two decimals of up to 15 digits share one.
func appendFraction(dst []byte, d time.Duration) []byte {
	n, width := uint32(d), 9
	for n%10 == 0 {
		n /= 10
		width--
	}
	digits := [10]byte{'.'}
	for i := width; i > 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(dst, digits[:1+width]...)
}
