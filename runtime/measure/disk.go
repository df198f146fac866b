package measure

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// Disks measures the file systems that hold folders.
func Disks(folders []string) func(context.Context) ([]prometheus.Metric, error) {
	return func(context.Context) ([]prometheus.Metric, error) {
		var list []prometheus.Metric
		var wrong []error
		for _, dir := range folders {
			var fs syscall.Statfs_t
			if err := syscall.Statfs(dir, &fs); err != nil {
				wrong = append(wrong, fmt.Errorf("disk of %s: %w", dir, err))
				continue
			}
			list = append(list,
				gauge("mailpland_disk_free_bytes", "Bytes that services can still write.", float64(fs.Bavail)*float64(fs.Bsize), "path", dir),
				gauge("mailpland_disk_size_bytes", "Bytes of the file system that holds a folder.", float64(fs.Blocks)*float64(fs.Bsize), "path", dir))
			if fs.Files > 0 { // some file systems do not count them
				list = append(list, gauge("mailpland_disk_free_files_ratio", "Share of files that can still be made; each message is one.",
					float64(fs.Ffree)/float64(fs.Files), "path", dir))
			}
		}
		return list, errors.Join(wrong...)
	}
}
