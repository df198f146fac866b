// Package site holds the reference site: the mail system of the original design, declared for example.com.
// It is CUE to read, and what `mailplan init` starts a new site from.
package site

import "embed"

// Files are the CUE files.
//
//go:embed *.cue
var Files embed.FS
