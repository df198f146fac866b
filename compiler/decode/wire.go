package decode

import (
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

// wireSite is a site as CUE exports it, where the model's form differs.
type wireSite struct {
	model.Site
	Domains    map[string]wireDomain `json:"domains"`
	Containers wireContainers        `json:"containers"`
}

type wireDomain struct {
	model.Domain
	Aliases  map[string][]string `json:"aliases"`
	CatchAll string              `json:"catchAll"`
	DKIM     struct {
		KeepDays  int                       `json:"keepDays"`
		Selectors map[string]model.Selector `json:"selectors"`
	} `json:"dkim"`
}

// wireContainers are the known services and, under any other name, the user's own.
type wireContainers struct {
	model.Containers
	own []model.OwnContainer
}

var known = map[string]bool{"mariadb": true, "redis": true, "dovecot": true, "postfix": true, "rspamd": true, "clamav": true,
	"roundcube": true, "mailserver-api": true, "usermgmt": true, "nginx": true, "cloudflared": true, "tailscale": true}

// UnmarshalJSON parts the user's own containers from the known ones.
func (c *wireContainers) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &c.Containers); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for name, raw := range all {
		if known[name] {
			continue
		}
		own := model.OwnContainer{Name: name}
		if err := json.Unmarshal(raw, &own); err != nil {
			return fmt.Errorf("container %s: %w", name, err)
		}
		c.own = append(c.own, own)
	}
	return nil
}
