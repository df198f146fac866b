package check

func sizeRules() []Rule {
	return []Rule{
		{ID: "size-relay", Severity: Error, Holes: "S-28", Title: "the relay takes what Postfix takes",
			Why: "the client is told that the message is sent, and it comes back later", find: sizeRelay},
		{ID: "size-rspamd", Severity: Error, Holes: "S-28", Title: "Rspamd looks at the largest message",
			Why: "larger ones pass unscanned or are refused for ever", find: sizeRspamd},
		{ID: "size-clamav", Severity: Error, Holes: "S-28 C-015", Title: "ClamAV looks at the largest message",
			Why: "a larger stream ends in an error, which by default holds the message back for ever", find: sizeClamAV},
		{ID: "size-webmail", Severity: Warning, Holes: "S-28", Title: "attachments in webmail fit into a message",
			Why: "base64 makes them a third larger; people write a whole mail and then can't send it", find: sizeWebmail},
	}
}

func (c *checker) largest() int {
	return max(c.site.Edge.Ingest.MaxMessageMiB, c.site.Containers.Postfix.MaxMessageMiB)
}

func sizeRelay(c *checker) {
	if p, r := c.site.Containers.Postfix.MaxMessageMiB, c.site.Relay.MaxMessageMiB; p > r {
		c.report("containers.postfix.maxMessageMiB", "Postfix takes %d MiB, the relay %d", p, r).or("relay.maxMessageMiB")
	}
}

func sizeRspamd(c *checker) {
	if n := c.site.Containers.Rspamd.MaxMessageMiB; n < c.largest() {
		c.report("containers.rspamd.maxMessageMiB", "Rspamd looks at %d MiB, messages have up to %d", n, c.largest()).or("containers.postfix.maxMessageMiB")
	}
}

func sizeClamAV(c *checker) {
	if n := c.site.Containers.ClamAV.MaxMessageMiB; n < c.largest() {
		c.report("containers.clamav.maxMessageMiB", "ClamAV looks at %d MiB, messages have up to %d", n, c.largest()).or("containers.postfix.maxMessageMiB")
	}
}

func sizeWebmail(c *checker) {
	n, most := c.site.Containers.Roundcube.MaxAttachmentMiB, c.site.Containers.Postfix.MaxMessageMiB
	if n*4 > most*3 {
		c.report("containers.roundcube.maxAttachmentMiB", "an attachment of %d MiB makes a message of %d, Postfix takes %d", n, n*4/3, most).or("containers.postfix.maxMessageMiB")
	}
}
