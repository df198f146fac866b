package config

// Watch is what is looked at on the host, for the console to show. A field that is left out is not looked at. How backups
// stand is looked at where the file has a section backup.
type Watch struct {
	Folder       string `json:"folder"`                 // where the reports are laid
	Group        int    `json:"group,omitempty"`        // may read them
	Queue        string `json:"queue,omitempty"`        // program that prints what `postqueue -j` does
	Usage        string `json:"usage,omitempty"`        // program that prints what `doveadm -f json quota get -A` does
	Declared     string `json:"declared,omitempty"`     // file of the domains whose DNS is looked at, see Declared
	DKIMKeys     string `json:"dkimKeys,omitempty"`     // folder of the keys with which is signed, DOMAIN.SELECTOR.key
	AccessIssuer string `json:"accessIssuer,omitempty"` // https://TEAM.cloudflareaccess.com, whose keys the console needs
}

func (w *Watch) problems(at string) (found Problems) {
	absolute(&found, at+".folder", w.Folder)
	for name, path := range map[string]string{"queue": w.Queue, "usage": w.Usage, "declared": w.Declared, "dkimKeys": w.DKIMKeys} {
		if path != "" {
			absolute(&found, at+"."+name, path)
		}
	}
	if w.AccessIssuer != "" {
		checkURL(&found, at+".accessIssuer", w.AccessIssuer)
	}
	return found
}
