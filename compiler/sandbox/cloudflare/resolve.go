package cloudflare

import (
	"encoding/json"
	"strings"
)

// CNAME is where a name leads that the zones publish, as others on the Internet see it: a proxied one is hidden.
func (s *Server) CNAME(name string) (target string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for doc, data := range s.store.docs {
		var z struct {
			Name    string   `json:"name"`
			Records []record `json:"records"`
		}
		if !strings.HasPrefix(doc, "zone-") || json.Unmarshal(data, &z) != nil || !strings.HasSuffix(name, "."+z.Name) {
			continue
		}
		for _, r := range z.Records {
			if r.Type == "CNAME" && r.Name == name && !r.Proxied {
				return strings.TrimSuffix(r.Content, "."), true
			}
		}
	}
	return "", false
}

// TXT are the texts that the zones publish for a name, as a resolver joins their strings.
func (s *Server) TXT(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for doc, data := range s.store.docs {
		var z struct {
			Records []record `json:"records"`
		}
		if !strings.HasPrefix(doc, "zone-") || json.Unmarshal(data, &z) != nil {
			continue
		}
		for _, r := range z.Records {
			if r.Type == "TXT" && r.Name == name {
				texts = append(texts, strings.ReplaceAll(strings.Trim(r.Content, `"`), `" "`, ""))
			}
		}
	}
	return texts
}
