package local

import _ "embed"

// Readme is RESTORE.txt: the emergency procedure, which is also the script that follows it.
//
//go:embed RESTORE.txt
var Readme []byte
