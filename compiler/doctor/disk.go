package doctor

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// An image pull and a backup beside the old one need room: below tight it is doubtful, below full it is bad, in percent.
const (
	tight = 15
	full  = 5
)

// Disk weighs the free space of the host's folders; one that is not there yet is weighed by the folder it will be in.
func Disk(ctx context.Context, run host.Runner, folders ...string) []Finding {
	var list []Finding
	seen := map[string]bool{}
	for _, folder := range folders {
		s, err := spaceOf(ctx, run, folder)
		switch {
		case err != nil:
			list = append(list, Finding{Check: "disk", State: Bad, Text: fmt.Sprintf("%s: %v", folder, err)})
		case !seen[s.mount]:
			seen[s.mount] = true
			list = append(list, s.weigh(folder))
		}
	}
	return list
}

// space is a file system as df shows it, in KiB.
type space struct {
	mount       string
	total, free int64
}

func (s space) weigh(folder string) Finding {
	percent := s.free * 100 / max(s.total, 1)
	f := Finding{Check: "disk", State: Good, Text: fmt.Sprintf("%s: %d %% free, %.1f GiB on %s", folder, percent, float64(s.free)/(1<<20), s.mount)}
	if percent < tight {
		f.State, f.Hint = Doubtful, "images to pull and the next backup need room: free some, or lower backup.keep"
	}
	if percent < full {
		f.State = Bad
	}
	return f
}

func spaceOf(ctx context.Context, run host.Runner, folder string) (space, error) {
	for {
		out, err := run(ctx, nil, "df", "-Pk", folder)
		if err == nil {
			return parseDF(string(out))
		}
		if folder == "/" || folder == "." {
			return space{}, err
		}
		folder = path.Dir(folder)
	}
}

// parseDF reads the one file system that `df -Pk` (POSIX) prints.
func parseDF(text string) (space, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(lines) < 2 || len(fields) < 6 {
		return space{}, fmt.Errorf("df says %q", text)
	}
	total, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return space{}, fmt.Errorf("df says %q", text)
	}
	free, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil {
		return space{}, fmt.Errorf("df says %q", text)
	}
	return space{mount: strings.Join(fields[5:], " "), total: total, free: free}, nil
}
