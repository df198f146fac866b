// Package stack brings an emitted compose project up with a real Docker engine and sends mail through
// it. It makes a machine of its own in namespaces (see [Run]), starts dockerd there, and builds stand-ins
// of the images from Debian's packages (images/README.md), for no registry can be asked.
//
// One command as root installs what it needs, runs it all and prints a table of the flows:
//
//	.ci/stack
package stack
