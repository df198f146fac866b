package compose

import (
	"cmp"
	"fmt"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// volumes are the folders of the site's data, as named volumes that bind them.
func (b *builder) volumes() {
	for _, d := range b.site.Directories() {
		if d.Volume == "" {
			continue
		}
		b.out.Volumes[d.Volume] = types.VolumeConfig{Driver: "local",
			DriverOpts: types.Options{"type": "none", "o": "bind", "device": d.Path}}
		b.reason("volumes/"+d.Volume, fmt.Sprintf("%s; owned by %d:%d", d.Purpose, d.UID, d.GID))
	}
}

// journald is the age limit of the containers' logs, which only the journal can keep.
func journald(s *model.Site) model.File {
	days := cmp.Or(s.Monitoring.Logs.ContainerDays, 7)
	text := head(s) + "# Belongs into /etc/systemd/journald.conf.d/. Containers log to the journal because Docker's own files are\n" +
		"# bounded by size and count, not by age.\n" + model.JournalSettings(days, 1024+150*days)
	return model.File{Path: model.ProjectDir + "/config/journald/mailserver.conf", Mode: 0o644, Content: []byte(text), From: "monitoring.logs"}
}
