package config

// Accounts says how the account database is reached.
type Accounts struct {
	Address      string `json:"address"` // host:port
	User         string `json:"user"`
	PasswordFile string `json:"passwordFile"`
	Database     string `json:"database"`
}

func (a *Accounts) problems(at string) (found Problems) {
	required(&found, at+".address", a.Address)
	required(&found, at+".user", a.User)
	required(&found, at+".database", a.Database)
	absolute(&found, at+".passwordFile", a.PasswordFile)
	return found
}
