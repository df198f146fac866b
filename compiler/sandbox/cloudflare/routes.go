package cloudflare

// routes lists every endpoint that the stand-in serves.
func (s *Server) routes() {
	s.handle("GET /zones", listZones)
	s.handle("GET /zones/{zone}", getZone)

	s.handle("GET /zones/{zone}/dns_records", listRecords)
	s.handle("POST /zones/{zone}/dns_records", createRecord)
	s.handle("POST /zones/{zone}/dns_records/batch", batchRecords)
	s.handle("GET /zones/{zone}/dns_records/{id}", getRecord)
	s.handle("PATCH /zones/{zone}/dns_records/{id}", patchRecord)
	s.handle("PUT /zones/{zone}/dns_records/{id}", putRecord)
	s.handle("DELETE /zones/{zone}/dns_records/{id}", deleteRecord)

	s.handle("GET /zones/{zone}/email/routing", getRouting)
	s.handle("PATCH /zones/{zone}/email/routing", editRouting)
	s.handle("PUT /zones/{zone}/email/routing", editRouting)
	s.handle("POST /zones/{zone}/email/routing/enable", enableRouting)
	s.handle("POST /zones/{zone}/email/routing/disable", disableRouting)
	s.handle("GET /zones/{zone}/email/routing/dns", routingDNS)
	s.handle("POST /zones/{zone}/email/routing/dns", enableRouting)
	s.handle("PATCH /zones/{zone}/email/routing/dns", unlockRouting)
	s.handle("DELETE /zones/{zone}/email/routing/dns", disableRouting)

	s.handle("GET /zones/{zone}/email/routing/rules", listRules)
	s.handle("POST /zones/{zone}/email/routing/rules", createRule)
	s.handle("GET /zones/{zone}/email/routing/rules/catch_all", getCatchAll)
	s.handle("PUT /zones/{zone}/email/routing/rules/catch_all", putCatchAll)
	s.handle("GET /zones/{zone}/email/routing/rules/{id}", getRule)
	s.handle("PUT /zones/{zone}/email/routing/rules/{id}", putRule)
	s.handle("DELETE /zones/{zone}/email/routing/rules/{id}", deleteRule)

	s.handle("GET /accounts/{account}/email/routing/addresses", listAddresses)
	s.handle("POST /accounts/{account}/email/routing/addresses", createAddress)
	s.handle("DELETE /accounts/{account}/email/routing/addresses/{id}", deleteAddress)
}
