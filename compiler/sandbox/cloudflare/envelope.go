package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// apiError is a refusal in the provider's form. A chain carries the precise
// reason below a general code, as in code 1004 "DNS Validation Error".
type apiError struct {
	status  int
	code    int
	message string
	chain   []detail
}

type detail struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Chain   []detail `json:"error_chain,omitempty"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.message) }

func refuse(code int, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

func notFound(code int, format string, args ...any) *apiError {
	e := refuse(code, format, args...)
	e.status = http.StatusNotFound
	return e
}

func conflict(code int, format string, args ...any) *apiError {
	e := refuse(code, format, args...)
	e.status = http.StatusConflict
	return e
}

// invalid is the refusal of a DNS record: the general code with the precise one below.
func invalid(code int, format string, args ...any) *apiError {
	e := refuse(1004, "DNS Validation Error")
	e.chain = []detail{{Code: code, Message: fmt.Sprintf(format, args...)}}
	return e
}

type envelope struct {
	Success    bool        `json:"success"`
	Errors     []detail    `json:"errors"`
	Messages   []detail    `json:"messages"`
	Result     any         `json:"result"`
	ResultInfo *resultInfo `json:"result_info,omitempty"`
}

type resultInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

// listing is a handler's result that is served page by page.
type listing struct {
	items []any
	// least, most and usual bound and default per_page.
	least, most, usual int
}

// listed makes a listing of any slice.
func listed[T any](items []T, least, most, usual int) listing {
	l := listing{least: least, most: most, usual: usual, items: make([]any, len(items))}
	for i, item := range items {
		l.items[i] = item
	}
	return l
}

// page cuts the part that the query asks for.
func (l listing) page(r *http.Request) (any, *resultInfo, *apiError) {
	page, err := number(r, "page", 1, 1, math.MaxInt32)
	if err != nil {
		return nil, nil, err
	}
	per, err := number(r, "per_page", l.usual, l.least, l.most)
	if err != nil {
		return nil, nil, err
	}
	total := len(l.items)
	from := min((page-1)*per, total)
	to := min(from+per, total)
	info := &resultInfo{Page: page, PerPage: per, Count: to - from, TotalCount: total, TotalPages: (total + per - 1) / per}
	return l.items[from:to], info, nil
}

// cursored is a handler's result that is paged by cursor; an empty cursor ends it.
type cursored struct {
	result any
	cursor string
	per    int
}

// number reads an integer of the query within bounds.
func number(r *http.Request, name string, usual, least, most int) (int, *apiError) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return usual, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || f < float64(least) || f > float64(most) {
		return 0, refuse(9207, "Invalid %s: must be a whole number from %d to %d", name, least, most)
	}
	return int(f), nil
}

// answer is a finished response, kept back until the faults let it go.
type answer struct {
	status int
	body   any
	raw    *rawBody
}

// rawBody is a result that the provider serves outside the envelope.
type rawBody struct {
	contentType string
	bytes       []byte
}

// answerFor wraps a handler's result or error.
func answerFor(r *http.Request, result any, err error) answer {
	if err != nil {
		return answerError(err)
	}
	switch result := result.(type) {
	case rawBody:
		return answer{status: http.StatusOK, raw: &result}
	case cursored:
		info := map[string]any{"cursor": result.cursor, "per_page": result.per}
		return answer{status: http.StatusOK, body: map[string]any{
			"success": true, "errors": []detail{}, "messages": []string{}, "result": result.result, "result_info": info,
		}}
	case listing:
		items, info, perr := result.page(r)
		if perr != nil {
			return answerError(perr)
		}
		return answer{status: http.StatusOK, body: envelope{Success: true, Errors: []detail{}, Messages: []detail{}, Result: items, ResultInfo: info}}
	}
	return answer{status: http.StatusOK, body: envelope{Success: true, Errors: []detail{}, Messages: []detail{}, Result: result}}
}

func answerError(err error) answer {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{status: http.StatusInternalServerError, code: 10013, message: "Internal error: " + err.Error()}
	}
	d := detail{Code: e.code, Message: e.message, Chain: e.chain}
	return answer{status: e.status, body: envelope{Errors: []detail{d}, Messages: []detail{}}}
}

func (a answer) write(w http.ResponseWriter) {
	if a.raw != nil {
		w.Header().Set("Content-Type", a.raw.contentType)
		w.WriteHeader(a.status)
		w.Write(a.raw.bytes)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.body)
}

func writeError(w http.ResponseWriter, err *apiError) { answerError(err).write(w) }

// tooMany is the provider's answer above the rate limit.
func tooMany(w http.ResponseWriter, wait time.Duration) {
	seconds := max(int(math.Ceil(wait.Seconds())), 0)
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	e := refuse(10429, "More than 1200 requests per 300 seconds reached. Please wait and consider throttling your request speed")
	e.status = http.StatusTooManyRequests
	writeError(w, e)
}
