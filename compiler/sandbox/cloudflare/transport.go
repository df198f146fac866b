package cloudflare

import (
	"net/http"

	"github.com/mailplan/mailplan/compiler/sandbox/standin"
)

// BaseURL is what a client made by Client is given as the API's root; nothing
// listens there.
const BaseURL = "http://cloudflare.sandbox" + prefix

// Client returns an HTTP client whose every request is answered by s in the
// same process, without a socket.
func (s *Server) Client() *http.Client { return &http.Client{Transport: standin.Transport{Handler: s}} }
