package cloudflare

import "slices"

// script is one Worker.
type script struct {
	Name string `json:"name"`
}

func (a *account) hasScript(name string) bool {
	return slices.ContainsFunc(a.Scripts, func(s script) bool { return s.Name == name })
}
