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
}
