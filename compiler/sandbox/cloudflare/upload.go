package cloudflare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"time"
)

const (
	maxScript = 64 << 20 // bytes of all modules
	oldest    = "2021-11-02"
)

var moduleTypes = []string{
	"application/javascript+module", "text/javascript+module", "application/wasm", "text/plain",
	"application/octet-stream", "application/source-map", "application/json",
}

// putScript takes a multipart upload: a JSON part "metadata" and one part for
// each module, named like its file.
func putScript(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	meta, modules, err := c.upload()
	if err != nil {
		return nil, err
	}
	name, now := c.r.PathValue("name"), c.s.now()
	if len(name) > 63 || !label.MatchString(name) {
		return nil, refuse(10016, "Invalid Worker name. Ensure the name is lowercase and at most 63 characters.")
	}
	s := a.script(name)
	if err := a.settleBindings(&meta, s); err != nil {
		return nil, err
	}
	if s == nil {
		a.Scripts = append(a.Scripts, script{Name: name, Tag: newID(), Created: now, WorkersDev: true, Previews: true})
		s = a.script(name)
	}
	if meta.Tags == nil {
		meta.Tags = s.Meta.Tags // absent tags keep the former ones
	}
	meta.KeepBindings = nil
	s.Meta, s.Modules, s.Modified = meta, modules, now
	s.Handlers = handlersIn(string(modules[mainOf(modules, meta.MainModule)].Content))
	s.Etag = digest(fmt.Append(nil, modules))
	out := s.summary()
	out["startup_time_ms"] = 5
	return out, nil
}

func mainOf(modules []module, name string) int {
	return slices.IndexFunc(modules, func(m module) bool { return m.Name == name })
}

// upload reads the parts and checks what concerns them alone.
func (c *call) upload() (metadata, []module, error) {
	var meta metadata
	typ, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/form-data" {
		return meta, nil, refuse(10020, "Content-Type must be multipart/form-data")
	}
	var modules []module
	found := false
	r := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return meta, nil, refuse(10020, "Could not read the multipart body: %v", err)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return meta, nil, refuse(10020, "Could not read the part %s: %v", part.FormName(), err)
		}
		if part.FormName() == "metadata" {
			if err := strictJSON(b, &meta); err != nil {
				return meta, nil, refuse(10021, "The metadata part is not valid JSON: %v", err)
			}
			found = true
			continue
		}
		modules = append(modules, module{moduleName(part), part.Header.Get("Content-Type"), b})
	}
	if !found {
		return meta, nil, refuse(10021, "The uploaded script has no metadata part")
	}
	return meta, modules, checkUpload(meta, modules)
}

func moduleName(part *multipart.Part) string {
	if name := part.FileName(); name != "" {
		return name
	}
	return part.FormName()
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func checkUpload(meta metadata, modules []module) error {
	size := 0
	for _, m := range modules {
		size += len(m.Content)
		if typ, _, err := mime.ParseMediaType(m.ContentType); err != nil || !slices.Contains(moduleTypes, typ) {
			return refuse(10021, "Module %s has the unsupported content type %q", m.Name, m.ContentType)
		}
	}
	main := mainOf(modules, meta.MainModule)
	switch {
	case size > maxScript:
		return refuse(10027, "Your Worker exceeded the size limit of 64 MiB.")
	case main < 0:
		return refuse(10021, "Uncaught Error: No such module %q: main_module must name an uploaded part", meta.MainModule)
	case len(handlersIn(string(modules[main].Content))) == 0:
		return refuse(10021, "No event handlers were registered. This script does nothing.")
	}
	if meta.CompatibilityDate == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, meta.CompatibilityDate); err != nil || meta.CompatibilityDate < oldest {
		return refuse(10021, "Can't set compatibility date %q", meta.CompatibilityDate)
	}
	for name, text := range meta.Annotations {
		if name == "workers/tag" && len(text) > 100 || name == "workers/message" && len(text) > 1000 {
			return refuse(10021, "Annotation %s is too long", name)
		}
	}
	return nil
}

// scriptContent answers with the modules as a multipart body.
func scriptContent(c *call) (any, error) {
	_, s, err := c.pathScript(false)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, m := range s.Modules {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", mime.FormatMediaType("form-data", map[string]string{"name": m.Name, "filename": m.Name}))
		h.Set("Content-Type", m.ContentType)
		part, err := w.CreatePart(h)
		if err != nil {
			return nil, err
		}
		part.Write(m.Content)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return rawBody{w.FormDataContentType(), b.Bytes()}, nil
}
