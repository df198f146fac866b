package mailstore

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// Serve accepts connections until the test ends and hands each to serve.
func Serve(t testing.TB, serve func(net.Conn, *bufio.Reader)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return ln.Addr().String()
}

// Talk is a server that greets and gives to each command line the reply that answer makes of it, until that says
// that there is no more. The bytes that a BDAT command brings are taken before its answer.
func Talk(t testing.TB, answer func(line string) (reply string, more bool)) (address string) {
	t.Helper()
	return Serve(t, func(c net.Conn, br *bufio.Reader) {
		fmt.Fprint(c, "220 hi\r\n")
		for more := true; more; {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "BDAT") && !discardChunk(br, strings.Fields(line)) {
				return
			}
			var reply string
			reply, more = answer(line)
			fmt.Fprint(c, reply)
		}
	})
}
