package authority

import (
	"encoding/binary"
	"hash/maphash"
)

// An index maps keys to sites: hosts, parents of wildcards (they begin with a dot) and site names (they begin
// with "="). It is immutable. It is cut into shards, so that a change rebuilds the few shards that it touches and
// shares the others with its predecessor. Each shard is an open-addressing table over a byte arena, which holds
// no pointer for the garbage collector to follow and costs about half of what a map does.
type index struct {
	shards []shard // a power of two
	keys   int
}

type shard struct {
	slots []uint64 // hash in the upper half, arena offset + 1 in the lower; 0 is free
	arena []byte   // entries: site (4 bytes), port (2), flags (1), key length (1), key
	n     int
}

const (
	entryHeader   = 8
	flagMore      = 1   // another entry of the same key follows on the probe path
	keysPerShard  = 128 // what a rebuild of one shard costs, against the size of the shard headers
	maxKey        = 255
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
	slots := 4
	for slots*3 < n*4 { // at most three quarters full
		slots *= 2
	}
	return shard{slots: make([]uint64, slots), arena: make([]byte, 0, bytes)}
}

func (s *shard) insert(h uint64, k key) {
	at := len(s.arena)
	s.arena = binary.LittleEndian.AppendUint32(s.arena, k.site)
	s.arena = binary.LittleEndian.AppendUint16(s.arena, k.port)
	s.arena = append(s.arena, 0, byte(len(k.text)))
	s.arena = append(s.arena, k.text...)
	mask := uint32(len(s.slots) - 1)
	for i := start(h) & mask; ; i = (i + 1) & mask {
		slot := s.slots[i]
		if slot == 0 {
			s.slots[i] = h&^0xffffffff | uint64(at+1)
			s.n++
			return
		}
		if e, ok := s.entry(slot, h, k.text); ok {
			s.arena[e.at+6] |= flagMore
		}
	}
}

// start takes other bits of the hash than shardOf, else all keys of a shard would begin at the same slots.
func start(h uint64) uint32 { return uint32(h >> 32) }

type entry struct {
	at   int
	site uint32
	port uint16
	more bool
}

// entry decodes a slot if it holds the key.
func (s *shard) entry(slot, h uint64, text string) (entry, bool) {
	if slot>>32 != h>>32 {
		return entry{}, false
	}
	at := int(uint32(slot)) - 1
	b := s.arena[at:]
	if n := int(b[7]); n != len(text) || string(b[entryHeader:entryHeader+n]) != text {
		return entry{}, false
	}
	return entry{
		at:   at,
		site: binary.LittleEndian.Uint32(b),
		port: binary.LittleEndian.Uint16(b[4:]),
		more: b[6]&flagMore != 0,
	}, true
}

// A walk visits the entries of one key. It lives on the stack: lookups do not allocate.
type walk struct {
	s    *shard
	text string
	h    uint64
	next uint32
	done bool
}

func (x *index) walk(text string) walk {
	if x == nil {
		return walk{done: true}
	}
	h := hashOf(text)
	s := &x.shards[x.shardOf(h)]
	return walk{s: s, text: text, h: h, next: start(h), done: len(s.slots) == 0}
}

func (w *walk) step() (entry, bool) {
	if w.done {
		return entry{}, false
	}
	mask := uint32(len(w.s.slots) - 1)
	for i := w.next & mask; ; i = (i + 1) & mask {
		slot := w.s.slots[i]
		if slot == 0 {
			w.done = true
			return entry{}, false
		}
		if e, ok := w.s.entry(slot, w.h, w.text); ok {
			w.next, w.done = i+1, !e.more
			return e, true
		}
	}
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
			fresh[i] = fresh[i]
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
	keep := s.all()[:0]
	for _, k := range s.all() {
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
	for b := s.arena; len(b) > 0; {
		n := int(b[7])
		keys = append(keys, key{
			text: string(b[entryHeader : entryHeader+n]),
			site: binary.LittleEndian.Uint32(b),
			port: binary.LittleEndian.Uint16(b[4:]),
		})
		b = b[entryHeader+n:]
	}
	return keys
}
