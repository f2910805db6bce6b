package redisstore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// drawMask is a mask of any of the forms that areas give: whole, hardly any, half.
func drawMask(t *rapid.T) (m warning.Mask) {
	switch rapid.IntRange(0, 2).Draw(t, "form") {
	case 0:
		for slot := range rapid.IntRange(0, warning.BlockSize).Draw(t, "whole") {
			m.Set(slot)
		}
	case 1:
		for _, slot := range rapid.SliceOfN(rapid.IntRange(0, warning.BlockSize-1), 0, 130).Draw(t, "slots") {
			m.Set(slot)
		}
	case 2:
		for i := range m {
			m[i] = rapid.Uint64().Draw(t, "word")
		}
	}
	return m
}

func TestBatchesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make([]dispatcher.Batch, rapid.IntRange(0, 5).Draw(t, "batches"))
		for i := range want {
			want[i] = dispatcher.Batch{
				Block: rapid.Uint32().Draw(t, "block"), Duty: warning.Duty(rapid.Byte().Draw(t, "duty")), Language: rapid.Byte().Draw(t, "language"), Mask: drawMask(t),
			}
		}
		b := appendBatches(nil, want)
		if len(b) > 1+136*len(want) {
			t.Fatalf("%d batches take %d bytes", len(want), len(b))
		}
		got, err := decodeBatches(nil, b)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Fatalf("%v (-want +got):\n%s", err, d)
		}
	})
}

func TestWholeBlocksAreShort(t *testing.T) {
	whole := dispatcher.Batch{Block: 31000}
	for slot := range warning.BlockSize {
		whole.Mask.Set(slot)
	}
	if n := len(appendBatches(nil, []dispatcher.Batch{whole})) - 1; n > 8 {
		t.Fatalf("a whole block takes %d bytes, wanted at most 8", n)
	}
}

func FuzzDecodeBatches(f *testing.F) {
	f.Add(appendBatches(nil, []dispatcher.Batch{{Block: 3, Mask: warning.Mask{5}}, {Block: 9, Mask: warning.Mask{^uint64(0)}}}))
	f.Add([]byte{1, 0, 0, 0, maskSlots, 2, 200, 9, 1})
	f.Add([]byte{1, 0, 0, 0, maskBits, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := decodeBatches(nil, b)
		if err != nil {
			return
		}
		again, err := decodeBatches(nil, appendBatches(nil, all))
		if d := cmp.Diff(all, again, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Fatalf("%v (-first +again):\n%s", err, d)
		}
	})
}

func FuzzDecodeCommitted(f *testing.F) {
	f.Add("\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04\x01{}")
	f.Fuzz(func(t *testing.T, answer string) {
		if c, err := decodeCommitted(answer); err == nil && len(c.Refused) > len(answer) {
			t.Fatal("more refusals than bytes")
		}
	})
}
