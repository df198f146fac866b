package standin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Transport answers every request by the handler in the same process, without a socket.
type Transport struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := &buffered{header: http.Header{}, status: http.StatusOK}
	t.ServeHTTP(w, in)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if w.dropped {
		return nil, fmt.Errorf("connection closed by the stand-in: %w", io.ErrUnexpectedEOF)
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// RoundTrip implements http.RoundTripper.
func (s *Service[S]) RoundTrip(req *http.Request) (*http.Response, error) {
	return Transport{s}.RoundTrip(req)
}

// buffered is a ResponseWriter that keeps the answer.
type buffered struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	dropped bool // stands for closing the connection
}

func (w *buffered) Header() http.Header         { return w.header }
func (w *buffered) WriteHeader(status int)      { w.status = status }
func (w *buffered) Write(b []byte) (int, error) { return w.body.Write(b) }
