// Package pack turns files into packs and back. A pack is an age file of a zstd file of a tar file, of
// at most 64 MiB, named by the SHA-256 of its bytes: `age -d | zstd -d | tar x` opens it.
//
// The zstd file consists of many independent frames (RFC 8878, 3.1), cut at the folder's end or after
// 1 MiB, so that they compress in parallel and a reader which knows the frame table can fetch one
// folder without reading the rest. The package knows nothing of manifests or of where packs are kept.
package pack

import (
	"strings"
)

// Sizes in bytes.
const (
	Limit     = 64 << 20 // no pack is larger
	ChunkSize = 32 << 20 // a larger file is stored in parts of this size
	MaxFile   = 1 << 50  // no file is believed to be larger
	frameSize = 1 << 20  // plain bytes gathered before they are compressed
	maxFrame  = 16 << 20 // no frame a reader accepts is larger
)

// Suffix is what a pack's file name has after the SHA-256.
const Suffix = ".tar.zst.age"

// Extent is where a run of a file's bytes lies: Size bytes at Offset of the tar in the pack with that
// number.
type Extent struct {
	Pack   int
	Offset int64
	Size   int64
}

// Frame says where one zstd frame begins: at Plain in the tar, at Packed in the zstd file.
type Frame struct {
	Plain  int64
	Packed int64
}

// Pack describes a finished pack. The last frame of the table is empty and stands at the end of both.
type Pack struct {
	SHA256 string // lower-case hex
	Size   int64  // bytes of the age file
	Frames []Frame
}

// FileName is the name of the pack's file.
func (p Pack) FileName() string { return p.SHA256 + Suffix }

// ValidName reports whether s is a SHA-256 in lower-case hex.
func ValidName(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
