package h2

import (
	"hash/maphash"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// maxTable is how large the dynamic tables are, both ways (RFC 7541 section 4.2): what every peer has without being asked.
const maxTable = 4096

// entryOverhead is RFC 7541 section 4.1.
const entryOverhead = 32

// An encoder writes field sections in HPACK (RFC 7541). A field enters the table when it is seen for the second time: what is
// different in each answer (lengths, dates, tags) would only drive out what is the same.
type encoder struct {
	entries []entry // the oldest first
	hashes  []uint32
	size    uint32
	max     uint32
	least   uint32 // the smallest size since the client was last told
	changed bool   // it is to be told

	seen [64]uint32 // hashes of fields that were sent as literals
}

type entry struct{ name, value string }

func (e *entry) size() uint32 { return uint32(len(e.name)+len(e.value)) + entryOverhead }

var seed = maphash.MakeSeed()

func (e *encoder) init() { e.max, e.least = maxTable, maxTable }

// resize takes the client's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) resize(size uint32) {
	size = min(size, maxTable)
	if size == e.max {
		return
	}
	e.max = size
	e.least = min(e.least, size)
	e.changed = true
	e.evict(0)
}

// section appends a header section; status 0: trailers. Fields that HTTP/2 cannot carry are left out.
func (e *encoder) section(dst []byte, status int, fields message.Fields) []byte {
	if e.changed {
		dst = e.sizeUpdate(dst)
	}
	if status != 0 {
		dst = e.status(dst, status)
	}
	for i := range fields {
		dst = e.field(dst, fields[i].Name, fields[i].Value)
	}
	return dst
}

// sizeUpdate is RFC 7541 section 4.2: "the smallest maximum table size that occurs in that interval MUST be signaled", and then the
// final one. Where there are two, 0 is the first: x/net's decoder takes a second one only when its table is empty.
func (e *encoder) sizeUpdate(dst []byte) []byte {
	if e.least < e.max {
		e.evict(e.max + 1)
		dst = append(dst, 0x20)
	}
	dst = appendInt(dst, 0x20, 5, uint64(e.max))
	e.least, e.changed = e.max, false
	return dst
}

func (e *encoder) status(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	at := 3 * (status - 100)
	return e.known(dst, indexOfStatus, ":status", statusDigits[at:at+3])
}

// statusDigits are the numbers 100 to 999.
var statusDigits = func() string {
	digits := make([]byte, 0, 3*900)
	for n := 100; n < 1000; n++ {
		digits = append(digits, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
	}
	return string(digits)
}()

// field appends a field that a handler gave.
func (e *encoder) field(dst []byte, name, value string) []byte {
	index := staticIndex(name)
	if index == notSent || index == 0 && !message.ValidName(name) {
		return dst
	}
	return e.known(dst, index, name, value)
}

// known appends a field whose name may be sent.
func (e *encoder) known(dst []byte, index int, name, value string) []byte {
	hash := uint32(maphash.String(seed, name)) ^ uint32(maphash.String(seed, value)>>32)
	if i := e.find(hash, name, value); i > 0 {
		return appendInt(dst, 0x80, 7, uint64(i))
	}
	if !message.ValidValue(value) {
		return dst
	}
	size := uint32(len(name)+len(value)) + entryOverhead
	switch {
	case index == indexOfSetCookie:
		// "never indexed": whoever could have fields of their own choice sent beside it must not be able to guess it by the
		// length (RFC 7541 section 7.1).
		dst = appendInt(dst, 0x10, 4, uint64(index))
	case size <= e.max/2 && e.again(hash):
		e.add(hash, name, value)
		dst = appendInt(dst, 0x40, 6, uint64(index))
	default:
		dst = appendInt(dst, 0, 4, uint64(index))
	}
	if index == 0 {
		dst = appendString(dst, name)
	}
	return appendString(dst, value)
}

// again reports whether a field was seen before, as far as is remembered.
func (e *encoder) again(hash uint32) bool {
	slot := &e.seen[hash%uint32(len(e.seen))]
	if *slot == hash {
		return true
	}
	*slot = hash
	return false
}

// find returns the index of a field in the dynamic table; 0: it is not there.
func (e *encoder) find(hash uint32, name, value string) int {
	for i := len(e.hashes) - 1; i >= 0; i-- {
		if e.hashes[i] == hash && e.entries[i].name == name && e.entries[i].value == value {
			return staticLen + len(e.hashes) - i
		}
	}
	return 0
}

// add makes an entry. The strings are copied: they may be pieces of something large.
func (e *encoder) add(hash uint32, name, value string) {
	both := strings.Join([]string{name, value}, "")
	added := entry{both[:len(name)], both[len(name):]}
	e.evict(added.size())
	e.entries = append(e.entries, added)
	e.hashes = append(e.hashes, hash)
	e.size += added.size()
}

// evict makes room for so many bytes.
func (e *encoder) evict(need uint32) {
	n := 0
	for ; n < len(e.entries) && e.size+need > e.max; n++ {
		e.size -= e.entries[n].size()
	}
	if n == 0 {
		return
	}
	kept := copy(e.entries, e.entries[n:])
	clear(e.entries[kept:])
	e.entries = e.entries[:kept]
	copy(e.hashes, e.hashes[n:])
	e.hashes = e.hashes[:kept]
}

// appendInt is RFC 7541 section 5.1: an integer with a prefix of so many bits, in a byte whose other bits are pattern.
func appendInt(dst []byte, pattern byte, bits uint, n uint64) []byte {
	most := uint64(1)<<bits - 1
	if n < most {
		return append(dst, pattern|byte(n))
	}
	dst = append(dst, pattern|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendString is RFC 7541 section 5.2: in Huffman's code where that is shorter.
func appendString(dst []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInt(dst, 0x80, 7, n), s)
	}
	return append(appendInt(dst, 0, 7, uint64(len(s))), s...)
}
