package edge

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/cloudflare/cloudflare-go/v6/option"
)

// page asks the SDK for one page; the options carry its number and where the
// answer goes.
type page func(opts ...option.RequestOption) error

// list collects every page. The SDK's own pagers ignore the context after the
// first page, ask for one page too many, and some never ask for a second.
func list[T any](perPage int, get page) ([]T, error) {
	return collect[T](func(n int) ([]byte, error) {
		var raw []byte
		err := get(
			option.WithQuery("page", strconv.Itoa(n)),
			option.WithQuery("per_page", strconv.Itoa(perPage)),
			option.WithResponseBodyInto(&raw),
		)
		return raw, err
	})
}

// collect asks for pages from 1 on until there are no more.
func collect[T any](get func(page int) ([]byte, error)) ([]T, error) {
	var all []T
	for n := 1; ; n++ {
		raw, err := get(n)
		if err != nil {
			return nil, err
		}
		var env struct {
			Result     []T `json:"result"`
			ResultInfo struct {
				TotalPages int `json:"total_pages"`
				TotalCount int `json:"total_count"`
			} `json:"result_info"`
		}
		if err := json.Unmarshal(raw, &env); err != nil {
			return nil, fmt.Errorf("read page %d: %w", n, err)
		}
		all = append(all, env.Result...)
		// Some lists tell only the count.
		more := n < env.ResultInfo.TotalPages || len(all) < env.ResultInfo.TotalCount
		if !more || len(env.Result) == 0 {
			return all, nil
		}
	}
}

// result decodes the result of one answer into T; the SDK's own types lose
// fields where the API has several shapes.
func result[T any](call page) (T, error) {
	var raw []byte
	if err := call(option.WithResponseBodyInto(&raw)); err != nil {
		var none T
		return none, err
	}
	return decode[T](raw)
}

func decode[T any](raw []byte) (T, error) {
	var env struct {
		Result T `json:"result"`
	}
	if err := json.Unmarshal(raw, &env); err != nil {
		return env.Result, fmt.Errorf("read the answer: %w", err)
	}
	return env.Result, nil
}

// jsonBody sends v as the request's body.
func jsonBody(v any) (option.RequestOption, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return option.WithRequestBody("application/json", b), nil
}
