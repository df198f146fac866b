package redis

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
)

// polynomial is Jones' CRC-64, reflected, as Redis ends its snapshots with; it starts at 0 and is not inverted.
const polynomial = 0x95ac9329ac4bc9b5

// Check returns an error unless the file at path is a whole snapshot: it begins as one and ends with its checksum.
func Check(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := check(file); err != nil {
		return fmt.Errorf("%s is no whole snapshot of Redis: %w", path, err)
	}
	return nil
}

func check(file *os.File) error {
	const head, tail = 9, 9 // REDIS0011; the end mark 0xFF and the checksum
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < head+tail {
		return fmt.Errorf("it has %d bytes", info.Size())
	}
	in := bufio.NewReaderSize(file, 1<<16)
	if start, err := in.Peek(head); err != nil || string(start[:5]) != "REDIS" {
		return errors.Join(err, errors.New("it does not begin like one"))
	}
	table, sum := crc64.MakeTable(polynomial), uint64(0)
	buffer := make([]byte, 1<<16)
	for left := info.Size() - tail + 1; left > 0; {
		n, err := io.ReadFull(in, buffer[:min(left, int64(len(buffer)))])
		if err != nil {
			return err
		}
		sum = ^crc64.Update(^sum, table, buffer[:n])
		if left -= int64(n); left == 0 && buffer[n-1] != 0xff {
			return errors.New("it does not end like one")
		}
	}
	var want uint64
	if err := binary.Read(in, binary.LittleEndian, &want); err != nil {
		return err
	}
	if want != 0 && want != sum { // 0: the server writes none
		return errors.New("its checksum is another")
	}
	return nil
}
