package h2

import "sync"

// A contentBuffer keeps content that waits for its turn or for a window, in pieces that go back to a pool as soon as they are
// sent.
type contentBuffer struct {
	pieces [][]byte
	from   int // what of the first piece is sent
	size   int
}

// Pieces come in three sizes, so that many streams with little content each do not hold much memory.
var (
	pieceSizes = [...]int{1 << 10, 4 << 10, 16 << 10}
	piecePools = [len(pieceSizes)]sync.Pool{}
)

// newPiece returns a piece for some of n bytes, of which little stays empty.
func newPiece(n int) []byte {
	class := 0
	switch {
	case n >= pieceSizes[2]:
		class = 2
	case n > pieceSizes[0]:
		class = 1
	}
	if p, ok := piecePools[class].Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, pieceSizes[class])
}

func freePiece(p []byte) {
	for class, size := range pieceSizes {
		if cap(p) == size {
			piecePools[class].Put(&p)
		}
	}
}

func (b *contentBuffer) empty() bool { return b.size == 0 }
func (b *contentBuffer) len() int    { return b.size }

// free returns what the last piece has room for.
func (b *contentBuffer) free() int {
	if len(b.pieces) == 0 {
		return 0
	}
	last := b.pieces[len(b.pieces)-1]
	return cap(last) - len(last)
}

// write keeps p, and returns how much memory was taken for it.
func (b *contentBuffer) write(p []byte) (taken int) {
	b.size += len(p)
	for len(p) > 0 {
		if b.free() == 0 {
			piece := newPiece(len(p))
			taken += cap(piece)
			b.pieces = append(b.pieces, piece)
		}
		last := len(b.pieces) - 1
		n := min(len(p), b.free())
		b.pieces[last] = append(b.pieces[last], p[:n]...)
		p = p[n:]
	}
	return taken
}

// read appends the first n bytes to dst, and returns how much memory was given back. There must be as many.
func (b *contentBuffer) read(dst []byte, n int) (_ []byte, freed int) {
	b.size -= n
	for n > 0 {
		first := b.pieces[0][b.from:]
		k := min(n, len(first))
		dst = append(dst, first[:k]...)
		n -= k
		if b.from += k; k == len(first) {
			freed += b.dropFirst()
		}
	}
	return dst, freed
}

func (b *contentBuffer) dropFirst() (freed int) {
	freed = cap(b.pieces[0])
	freePiece(b.pieces[0])
	b.pieces[0] = nil
	b.from = 0
	if b.pieces = b.pieces[1:]; len(b.pieces) == 0 {
		b.pieces = nil
	}
	return freed
}

// drop gives everything back.
func (b *contentBuffer) drop() (freed int) {
	for len(b.pieces) > 0 {
		freed += b.dropFirst()
	}
	b.size = 0
	return freed
}
