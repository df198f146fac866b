package mailstore

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// StartSink runs an LMTP server with PIPELINING and CHUNKING until the test ends, which takes everything and
// keeps nothing, at next to no cost. It speaks BDAT only.
func StartSink(t testing.TB) (address string) {
	t.Helper()
	return Serve(t, takeAll)
}

// takeAll answers when nothing more has come in, so that pipelined commands get their replies together.
func takeAll(c net.Conn, _ *bufio.Reader) {
	br, bw := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	bw.WriteString("220 sink\r\n")
	for {
		if br.Buffered() == 0 && bw.Flush() != nil {
			return
		}
		line, err := br.ReadSlice('\n')
		if err != nil {
			return
		}
		words := strings.Fields(string(line))
		if len(words) == 0 {
			return
		}
		reply := "250 2.0.0 OK\r\n"
		switch words[0] {
		case "LHLO":
			reply = "250-sink\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 SIZE\r\n"
		case "BDAT":
			if !discardChunk(br, words) {
				return
			}
		}
		bw.WriteString(reply)
	}
}

// discardChunk takes what the words of a BDAT command announce.
func discardChunk(br *bufio.Reader, words []string) bool {
	if len(words) < 2 {
		return false
	}
	n, err := strconv.ParseInt(words[1], 10, 64)
	if err == nil {
		_, err = io.CopyN(io.Discard, br, n)
	}
	return err == nil
}
