package schema

import (
	"cuelang.org/go/cue"
)

// Pos is the user's line of a site path such as domains."example.com".users.alice; where nothing is
// written there, that of the nearest ancestor.
func (s *Source) Pos(sitePath string) Pos {
	p := cue.ParsePath(sitePath)
	if p.Err() != nil {
		return Pos{File: s.Dir}
	}
	for sels := p.Selectors(); len(sels) > 0; sels = sels[:len(sels)-1] {
		if v := s.raw.LookupPath(cue.MakePath(sels...)); v.Exists() {
			return posOf(v.Pos())
		}
	}
	return Pos{File: s.Dir}
}
