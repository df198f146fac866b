// Package scripts holds the shell commands of the original design, by their names there. Each hands its
// arguments to mailpland; the compiler emits them onto the host.
package scripts

import "embed"

// Files are the scripts, by file name; their mode is 0755.
//
//go:embed *.sh
var Files embed.FS
