// Package socket makes connections that read and write without telling Go's scheduler of each call. Such a call
// cannot block, since the socket does not; but the syscall package does not know that, and with every call that
// follows an idle moment it wakes the scheduler's monitor thread, which then looks around every 20 microseconds
// until the next idle moment. A daemon that waits for others most of the time, as mailpland does, spends a fifth
// of its processor time on that. The package must not know what is read and written.
package socket

import (
	"errors"
	"io"
	"net"
	"syscall"
	"unsafe"
)

// Conn is a connection of the net package with quick Read and Write.
type Conn struct {
	net.Conn
	raw syscall.RawConn
}

// Wrap makes a connection quick. One that has no socket of its own, such as TLS or a pipe, stays what it is.
func Wrap(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	return &Conn{c, raw}
}

// CloseWrite ends what is written, if the connection can do that for one direction alone.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Quiet says whether the connection stands and nothing has come that was not read.
func (c *Conn) Quiet() bool {
	var one [1]byte
	var errno syscall.Errno
	err := c.raw.Read(func(fd uintptr) bool {
		_, _, errno = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one[0])), 1, syscall.MSG_PEEK, 0, 0)
		return true
	})
	return err == nil && errno == syscall.EAGAIN
}

// WakeAt has who reads sleep until n bytes are there, or the end or the deadline has come (SO_RCVLOWAT, socket(7)).
// One is what a socket begins with.
func (c *Conn) WakeAt(n int) {
	c.raw.Control(func(fd uintptr) {
		value := int32(n)
		syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, uintptr(unsafe.Pointer(&value)), 4, 0)
	})
}

// Listener hands out quick connections.
type Listener struct{ net.Listener }

// Accept waits for the next connection.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}

// Read reads what is there, or waits for something to be there.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := c.do("read", c.raw.Read, func(fd uintptr) (uintptr, syscall.Errno) {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		return n, errno
	})
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write writes all of b.
func (c *Conn) Write(b []byte) (total int, err error) {
	for total < len(b) {
		rest := b[total:]
		n, err := c.do("write", c.raw.Write, func(fd uintptr) (uintptr, syscall.Errno) {
			n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)))
			return n, errno
		})
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// WriteBuffers writes all of the buffers to c, at once where it can, and consumes them.
func WriteBuffers(c net.Conn, buffers *net.Buffers) error {
	quick, ok := c.(*Conn)
	if !ok {
		_, err := buffers.WriteTo(c)
		return err
	}
	for {
		var room [8]syscall.Iovec
		vector := gather(room[:0], *buffers)
		if len(vector) == 0 {
			return nil
		}
		n, err := quick.do("write", quick.raw.Write, func(fd uintptr) (uintptr, syscall.Errno) {
			n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vector[0])), uintptr(len(vector)))
			return n, errno
		})
		consume(buffers, n)
		if err != nil {
			return err
		}
	}
}

// gather adds as many of the buffers to vector as it has room for.
func gather(vector []syscall.Iovec, buffers net.Buffers) []syscall.Iovec {
	for _, b := range buffers {
		if len(vector) == cap(vector) {
			break
		}
		if len(b) > 0 {
			v := syscall.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			vector = append(vector, v)
		}
	}
	return vector
}

// consume takes n bytes from the front of the buffers.
func consume(buffers *net.Buffers, n int) {
	for len(*buffers) > 0 && n >= len((*buffers)[0]) {
		n -= len((*buffers)[0])
		*buffers = (*buffers)[1:]
	}
	if n > 0 {
		(*buffers)[0] = (*buffers)[0][n:]
	}
}

// do calls until the socket is ready for it. turn is the connection's Read or Write, which waits for readiness and
// minds deadlines and Close.
func (c *Conn) do(op string, turn func(func(uintptr) bool) error, call func(uintptr) (uintptr, syscall.Errno)) (int, error) {
	var n uintptr
	var errno syscall.Errno
	err := turn(func(fd uintptr) bool {
		for {
			if n, errno = call(fd); errno != syscall.EINTR {
				return errno != syscall.EAGAIN
			}
		}
	})
	if err == nil && errno != 0 {
		err = &net.OpError{Err: errno, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr()}
	}
	if err == nil {
		return int(n), nil
	}
	if told, ok := err.(*net.OpError); ok {
		told.Op = op // as the net package's own connections say it
	}
	return 0, err
}
