package check

func scanRules() []Rule {
	return []Rule{
		{ID: "scan-open", Severity: Warning, Holes: "S-01 C-076", Title: "mail that could not be scanned is not delivered",
			Why: "whoever can stall the scanner gets anything delivered", find: scanOpen},
		{ID: "scan-virus", Severity: Warning, Holes: "S-01", Title: "mail with malware is refused",
			Why: "in Junk it is one curious click away", find: scanVirus},
		{ID: "scan-scores", Severity: Error, Title: "marking as spam comes before refusing",
			Why: "nothing would ever be marked, and doubtful mail would be refused", find: scanScores},
	}
}

func scanOpen(c *checker) {
	v := c.site.Edge.Ingest.Verdict
	if v.ScanFailure == "deliver" {
		c.report("edge.ingest.verdict.scanFailure", "mail is delivered when a scanner fails").fix("edge.ingest.verdict.scanFailure", `"tempfail"`)
	}
	if v.ScannerDown == "deliver" {
		c.report("edge.ingest.verdict.scannerDown", "mail is delivered when Rspamd is down").fix("edge.ingest.verdict.scannerDown", `"tempfail"`)
	}
}

func scanVirus(c *checker) {
	if c.site.Edge.Ingest.Verdict.Virus != "reject" {
		c.report("edge.ingest.verdict.virus", "mail with malware goes to Junk").fix("edge.ingest.verdict.virus", `"reject"`)
	}
}

func scanScores(c *checker) {
	if s := c.site.Containers.Rspamd.Scores; s.AddHeader >= s.Reject {
		c.report("containers.rspamd.scores", "mail is marked from score %g and refused from %g", s.AddHeader, s.Reject)
	}
}
