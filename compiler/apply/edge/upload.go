package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// upload spells a Worker as the multipart body of the API: a JSON part
// "metadata" and one part for each module. It does not use the SDK's encoder,
// which in later versions flattens the metadata into form fields that the API
// refuses.
func (w Worker) upload(secrets map[string]string) (contentType string, body []byte, err error) {
	metadata, err := w.metadata(secrets)
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if err := addPart(m, "metadata", "", "application/json", metadata); err != nil {
		return "", nil, err
	}
	for _, mod := range w.Modules {
		if err := addPart(m, mod.Name, mod.Name, mod.Type, mod.Content); err != nil {
			return "", nil, err
		}
	}
	if err := m.Close(); err != nil {
		return "", nil, err
	}
	return m.FormDataContentType(), b.Bytes(), nil
}

func addPart(m *multipart.Writer, name, file, contentType string, content []byte) error {
	params := map[string]string{"name": name}
	if file != "" {
		params["filename"] = file
	}
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", mime.FormatMediaType("form-data", params))
	h.Set("Content-Type", contentType)
	part, err := m.CreatePart(h)
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	return err
}

func (w Worker) metadata(secrets map[string]string) ([]byte, error) {
	bindings := []map[string]any{}
	for _, b := range w.Bindings {
		field, known := bindingField[b.Type]
		if !known {
			return nil, fmt.Errorf("binding %s has the type %q, which can't be uploaded", b.Name, b.Type)
		}
		if b.Type == "secret_text" {
			continue // kept, or set from secrets
		}
		spelled := map[string]any{"name": b.Name, "type": b.Type}
		if field != "" {
			spelled[field] = b.Value
		}
		bindings = append(bindings, spelled)
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		bindings = append(bindings, map[string]any{"name": name, "type": "secret_text", "text": secrets[name]})
	}
	return json.Marshal(map[string]any{
		"main_module": w.Main, "bindings": bindings, "keep_bindings": []string{"secret_text"},
		"compatibility_date": w.CompatibilityDate, "compatibility_flags": orEmpty(w.CompatibilityFlags),
		"tags": orEmpty(w.Tags), "observability": map[string]any{"enabled": true},
	})
}

// orEmpty makes a list encode as [] where null would mean "leave as it is".
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// readModules reads the code of a Worker as the API returns it.
func readModules(res *http.Response) ([]Module, error) {
	if !isMultipart(res.Header) {
		b, err := io.ReadAll(res.Body)
		return []Module{{Type: res.Header.Get("Content-Type"), Content: b}}, err
	}
	_, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	var modules []Module
	r := multipart.NewReader(res.Body, params["boundary"])
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			return modules, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		modules = append(modules, Module{part.FormName(), part.Header.Get("Content-Type"), b})
	}
}

// Digest is a hash of the code alone, in hexadecimal digits, to compare what
// is declared with what is deployed.
func (w Worker) Digest() string {
	modules := slices.SortedFunc(slices.Values(w.Modules), func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, m := range modules {
		fmt.Fprintf(h, "%d:%s%d:", len(m.Name), m.Name, len(m.Content))
		h.Write(m.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}
