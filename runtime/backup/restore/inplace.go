package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
)

// Scanned is what a scan of classes in use came to.
type Scanned struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Places   []string  `json:"places"`             // what was looked at
	Infected []string  `json:"infected,omitempty"` // all that is in quarantine, from this scan and those of the same date
	Left     []string  `json:"left,omitempty"`     // found in files that a program has open, which are where they were
	Notes    []string  `json:"notes,omitempty"`    // what the administrator should know or do
}

// InPlace has the scanner look at classes where they live, while people read their mail and move it. What it finds
// something in goes to the quarantine folder of that date, where nothing is ever replaced; Dovecot takes that for an
// expunge. What vanishes meanwhile is no error. Called again after it was cut off, it looks at everything again.
func InPlace(ctx context.Context, c config.Backup, components []string, date string) (Scanned, error) {
	s := scanning{program: c.Restore.ClamScan, date: date, result: Scanned{Started: time.Now().UTC()}}
	if s.program == "" {
		return s.result, errors.New("the configuration names no scanner (restore.clamScan)")
	}
	if err := s.choose(c.Classes, components); err != nil {
		return s.result, err
	}
	places := s.result.Places
	const most = 3 // what has another name each time is told
	for range most {
		vanished, err := s.look(ctx, places)
		if err != nil {
			return s.result, err
		}
		if places = vanished; len(places) == 0 {
			break
		}
	}
	for _, place := range places {
		s.result.Notes = append(s.result.Notes, "what the scanner finds in "+place+" is moved by others before it can go to quarantine: scan again")
	}
	err := s.list()
	s.result.Finished = time.Now().UTC()
	return s.result, err
}

// scanning is a scan on its way.
type scanning struct {
	program string
	date    string
	roots   []scanRoot // the longest paths first
	result  Scanned
}

// scanRoot is where a class lives.
type scanRoot struct {
	path string
	open bool // by a program that must not lose it: its files stay where they are
}

// choose takes the places of the classes; those below another's are looked at with it.
func (s *scanning) choose(classes []config.BackupClass, components []string) error {
	for _, name := range components {
		if name != "all" && !slices.ContainsFunc(classes, func(c config.BackupClass) bool { return c.Name == name }) {
			return fmt.Errorf("the configuration has no class %q", name)
		}
	}
	for _, c := range classes {
		wanted := len(components) == 0 || slices.Contains(components, "all") || slices.Contains(components, c.Name)
		if wanted && c.Kind != "mariadb" && c.Kind != "git" && exists(c.Path) {
			s.roots = append(s.roots, scanRoot{filepath.Clean(c.Path), c.Kind == "redis" || c.Kind == "ledger"})
		}
	}
	slices.SortStableFunc(s.roots, func(a, b scanRoot) int { return cmp.Compare(len(b.path), len(a.path)) })
	for _, root := range s.roots {
		covered := func(other scanRoot) bool { return other.path != root.path && below(root.path, other.path) }
		if !slices.ContainsFunc(s.roots, covered) && !slices.Contains(s.result.Places, root.path) {
			s.result.Places = append(s.result.Places, root.path)
		}
	}
	return nil
}

// below reports whether a path is the folder or in it.
func below(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// look scans places, and returns those in which something was found that was gone when it was to be moved.
func (s *scanning) look(ctx context.Context, places []string) (vanished []string, err error) {
	if len(places) == 0 {
		return nil, nil
	}
	found, trouble, err := clamscan(ctx, s.program, places...)
	if err == nil {
		err = s.real(trouble)
	}
	if err != nil {
		return nil, err
	}
	for _, path := range found {
		if strings.Contains(path, "/"+Reserved+"quarantine-") {
			continue
		}
		again, err := s.put(path)
		if err != nil {
			return nil, err
		}
		if again != "" && !slices.Contains(vanished, again) {
			vanished = append(vanished, again)
		}
	}
	return vanished, nil
}

// put moves a file to the quarantine of its class. If it is there no more, it returns where it may be.
func (s *scanning) put(path string) (again string, err error) {
	i := slices.IndexFunc(s.roots, func(r scanRoot) bool { return below(path, r.path) })
	if i < 0 {
		return "", fmt.Errorf("%s found something in %s, which it was not asked about", s.program, path)
	}
	root := s.roots[i]
	if root.open {
		s.result.Left = append(s.result.Left, path)
		return "", nil
	}
	_, err = quarantine(path, root.path, quarantineOf(root.path, s.date))
	if errors.Is(err, fs.ErrNotExist) {
		return around(path, root.path), nil
	}
	return "", err
}

// around is the folder below root in which a person's mail moves: DOMAIN/LOCALPART.
func around(path, root string) string {
	rel := strings.Split(strings.TrimPrefix(path, root+"/"), "/")
	return filepath.Join(root, filepath.Join(rel[:min(2, len(rel)-1)]...))
}

// real returns the scanner's trouble as an error, unless it is about files that are gone.
func (s *scanning) real(trouble string) error {
	gone := 0
	for line := range strings.Lines(trouble) {
		switch line = strings.TrimSpace(line); {
		case s.gone(line):
			gone++
		case line != "" && !strings.HasPrefix(line, "LibClamAV Warning:"): // such as old signatures
			return fmt.Errorf("%s could not look at everything: %s", s.program, line)
		}
	}
	if trouble != "" && gone == 0 {
		return fmt.Errorf("%s could not look at everything: %s", s.program, trouble)
	}
	return nil
}

// gone reports whether a line of the scanner names a file that is there no more.
func (s *scanning) gone(line string) bool {
	for _, root := range s.roots {
		if i := strings.Index(line, root.path+"/"); i >= 0 {
			path, _, _ := strings.Cut(line[i:], ": ")
			return !exists(path)
		}
	}
	return false
}

// list tells all that is in quarantine: also what a scan that was cut off has put there.
func (s *scanning) list() error {
	for _, root := range s.roots {
		if root.open {
			continue
		}
		err := filepath.WalkDir(quarantineOf(root.path, s.date), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !slices.Contains(s.result.Infected, path) {
				s.result.Infected = append(s.result.Infected, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
