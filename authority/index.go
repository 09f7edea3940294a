package authority

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// An index maps keys to sites: hosts, parents of wildcards (they begin with a dot) and site names (they begin
// with "="). It is immutable. It is cut into shards, so that a change rebuilds the few shards that it touches and
// shares the others with its predecessor. Each shard is a hash table of groups over a byte arena, which hold
// no pointers for the garbage collector to follow and cost about half of what a map does.
type index struct {
	shards []shard // a power of two
	keys   int
}

type shard struct {
	groups []group
	arena  []byte // entries: site (4 bytes), port (2), flags (1), key length (1), key
	n      int
}

// A group holds eight slots. Its tags, a byte of each key's hash, are compared all at once: a probe that goes from slot to
// slot branches on bytes that are not in the cache yet, which no processor can predict.
type group struct {
	tags uint64 // one byte a slot; 0 is free, and slots fill from the lowest
	at   [8]uint32
}

const (
	entryHeader   = 8
	flagMore      = 1   // another entry of the same key follows on the probe path
	keysPerShard  = 256 // what a rebuild of one shard costs, against the size of the shard headers
	groupLoad     = 5   // keys a group on average; there is always a free slot, so that every search ends
	siteKeyPrefix = "="
)

// One seed for all tables of a process: shards are shared between tables.
var seed = maphash.MakeSeed()

type key struct {
	text string
	site uint32
	port uint16
}

func hashOf(s string) uint64 { return maphash.String(seed, s) }

func (x *index) shardOf(h uint64) uint32 { return uint32(h) & uint32(len(x.shards)-1) }

func shardsFor(keys int) int {
	n := 1
	for n*keysPerShard < keys {
		n *= 2
	}
	return n
}

// newIndex builds an index of all keys.
func newIndex(keys []key) *index {
	x := &index{shards: make([]shard, shardsFor(len(keys))), keys: len(keys)}
	type need struct{ n, bytes int }
	needs := make([]need, len(x.shards))
	for _, k := range keys {
		i := x.shardOf(hashOf(k.text))
		needs[i].n++
		needs[i].bytes += entryHeader + len(k.text)
	}
	for i, need := range needs {
		x.shards[i] = newShard(need.n, need.bytes)
	}
	for _, k := range keys {
		h := hashOf(k.text)
		x.shards[x.shardOf(h)].insert(h, k)
	}
	return x
}

func newShard(n, bytes int) shard {
	if n == 0 {
		return shard{}
	}
	return shard{groups: make([]group, n/groupLoad+1), arena: make([]byte, 0, bytes)}
}

// first returns the group where the search for a hash begins. It takes other bits than shardOf, else all keys of a shard
// would begin in the same groups.
func (s *shard) first(h uint64) uint32 {
	return uint32(uint64(uint32(h>>32)) * uint64(len(s.groups)) >> 32)
}

const (
	everyLow  = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// tagOf returns the tag of a hash in each of eight bytes. It is never 0.
func tagOf(h uint64) uint64 { return (h>>24&0x7f | 0x80) * everyLow }

// match marks, in the high bit of its byte, each slot that has the tag. It may mark others too.
func (g *group) match(tag uint64) uint64 {
	x := g.tags ^ tag
	return (x - everyLow) &^ x & everyHigh
}

// full reports whether a key that belongs here may lie in the next group.
func (g *group) full() bool { return g.tags>>56 != 0 }

func (s *shard) insert(h uint64, k key) {
	w := walkIn(s, k.text, h)
	for !w.done {
		if e, ok := w.step(); ok {
			s.arena[e.at+6] |= flagMore
			w.done = false
		}
	}
	at := len(s.arena)
	s.arena = binary.LittleEndian.AppendUint32(s.arena, k.site)
	s.arena = binary.LittleEndian.AppendUint16(s.arena, k.port)
	s.arena = append(s.arena, 0, byte(len(k.text)))
	s.arena = append(s.arena, k.text...)
	s.n++
	i := s.first(h)
	for s.groups[i].full() {
		i = (i + 1) % uint32(len(s.groups))
	}
	g := &s.groups[i]
	slot := bits.Len64(g.tags) / 8 // the tags have their high bits set
	g.tags |= tagOf(h) & (0xff << (8 * slot))
	g.at[slot] = uint32(at)
}

type entry struct {
	at   int
	site uint32
	port uint16
	more bool
}

// first returns the first entry of a key. It is the whole of most lookups, and much shorter than a walk: the processor then
// works on the next lookup while this one waits for memory.
func (x *index) first(text string) (entry, bool) {
	if x == nil {
		return entry{}, false
	}
	h := hashOf(text)
	s := &x.shards[x.shardOf(h)]
	groups, arena := s.groups, s.arena
	if len(groups) == 0 {
		return entry{}, false
	}
	tag := tagOf(h)
	for i := s.first(h); ; {
		g := &groups[i]
		for m := g.match(tag); m != 0; m &= m - 1 {
			at := g.at[bits.TrailingZeros64(m)/8&7]
			b := arena[at:]
			if n := int(b[7]); n == len(text) && string(b[entryHeader:entryHeader+n]) == text {
				return entry{int(at), binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), b[6]&flagMore != 0}, true
			}
		}
		if !g.full() {
			return entry{}, false
		}
		if i++; int(i) == len(groups) {
			i = 0
		}
	}
}

// A walk visits the entries of one key, in the order of their insertion. It lives on the stack: lookups do not allocate.
type walk struct {
	s       *shard
	text    string
	tag     uint64
	matches uint64 // slots of the group that have not been looked at
	group   uint32
	done    bool
}

func (x *index) walk(text string) walk {
	if x == nil {
		return walk{done: true}
	}
	h := hashOf(text)
	return walkIn(&x.shards[x.shardOf(h)], text, h)
}

func walkIn(s *shard, text string, h uint64) walk {
	if len(s.groups) == 0 {
		return walk{done: true}
	}
	w := walk{s: s, text: text, tag: tagOf(h), group: s.first(h)}
	w.matches = s.groups[w.group].match(w.tag)
	return w
}

func (w *walk) step() (entry, bool) {
	for !w.done {
		g := &w.s.groups[w.group]
		for w.matches != 0 {
			at := g.at[bits.TrailingZeros64(w.matches)/8]
			w.matches &= w.matches - 1
			b := w.s.arena[at:]
			if n := int(b[7]); n == len(w.text) && string(b[entryHeader:entryHeader+n]) == w.text {
				e := entry{int(at), binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), b[6]&flagMore != 0}
				w.done = !e.more
				return e, true
			}
		}
		if !g.full() {
			w.done = true
			break
		}
		if w.group++; int(w.group) == len(w.s.groups) {
			w.group = 0
		}
		w.matches = w.s.groups[w.group].match(w.tag)
	}
	return entry{}, false
}

// with returns an index in which the keys of the sites in drop are gone and add has come; drop holds, for each of
// these sites, the shards that its keys lie in.
func (x *index) with(add []key, drop map[uint32][]uint32) *index {
	fresh := map[uint32][]key{}
	for _, k := range add {
		i := x.shardOf(hashOf(k.text))
		fresh[i] = append(fresh[i], k)
	}
	for _, shards := range drop {
		for _, i := range shards {
			if _, there := fresh[i]; !there {
				fresh[i] = nil
			}
		}
	}
	y := &index{shards: make([]shard, len(x.shards)), keys: x.keys}
	copy(y.shards, x.shards)
	for i, added := range fresh {
		old := y.shards[i].n
		y.shards[i] = x.shards[i].rebuild(added, drop)
		y.keys += y.shards[i].n - old
	}
	return y
}

func (s *shard) rebuild(add []key, drop map[uint32][]uint32) shard {
	all := s.all()
	keep := make([]key, 0, len(all)+len(add))
	for _, k := range all {
		if _, gone := drop[k.site]; !gone {
			keep = append(keep, k)
		}
	}
	keep = append(keep, add...)
	size := 0
	for _, k := range keep {
		size += entryHeader + len(k.text)
	}
	fresh := newShard(len(keep), size)
	for _, k := range keep {
		fresh.insert(hashOf(k.text), k)
	}
	return fresh
}

// all returns the keys in the order of their insertion.
func (s *shard) all() []key {
	keys := make([]key, 0, s.n)
	text := string(s.arena) // one allocation for all texts
	for at := 0; at < len(s.arena); {
		b := s.arena[at:]
		from, n := at+entryHeader, int(b[7])
		keys = append(keys, key{
			text: text[from : from+n],
			site: binary.LittleEndian.Uint32(b),
			port: binary.LittleEndian.Uint16(b[4:]),
		})
		at = from + n
	}
	return keys
}
