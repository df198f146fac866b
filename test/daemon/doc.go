// Package daemon runs the real programs on configuration that mailplan emitted: each check takes a
// folder as the container would see it mounted and says whether the program accepts it, in the
// program's own words if not. It knows where the images have their files, and nothing of how the
// compiler makes them.
//
// The programs are Debian's: Dovecot 2.3 and MariaDB of the machine itself (Debian 12), everything else
// of a Debian 13 root that .ci/setup makes. They run in a [Root], a throw-away copy-on-write file
// system with its own mounts, network and processes, so that a configuration keeps its absolute
// paths and ports and nothing of the machine is touched. That needs root; a test without it, or
// without a program, skips by name and fails in CI (see package need).
package daemon
