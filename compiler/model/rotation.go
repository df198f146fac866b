package model

// Accepted are the names under which values of a secret are good: its own, and while it rotates also the one that comes
// next or went before.
func (s *Site) Accepted(name string) []string {
	if also := s.Secrets.Names[name].Also; also != "" {
		return []string{name, also}
	}
	return []string{name}
}

// alsoSecrets are those that are accepted beside others.
func (s *Site) alsoSecrets(list []Secret) []Secret {
	var also []Secret
	for _, e := range list {
		if rule, ok := s.Secrets.Names[e.Name]; ok && rule.Also != "" {
			e.Path = Path("secrets", "names", e.Name) + ".also"
			e.Name, e.Purpose = rule.Also, "accepted beside "+e.Name+" while it rotates"
			also = append(also, e)
		}
	}
	return also
}
