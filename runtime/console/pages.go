package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

//go:embed templates static lang
var embedded embed.FS

// pages are the templates and what they say in each language.
type pages struct {
	byName   map[string]*template.Template
	catalogs map[string]map[string]string
	matcher  language.Matcher
}

// languages in which the site speaks, the first for who reads none of them.
var languages = []language.Tag{language.English, language.Japanese}

func loadPages() (*pages, error) {
	p := &pages{byName: map[string]*template.Template{}, catalogs: map[string]map[string]string{}, matcher: language.NewMatcher(languages)}
	for _, tag := range languages {
		data, err := embedded.ReadFile("lang/" + tag.String() + ".json")
		if err != nil {
			return nil, err
		}
		catalog := map[string]string{}
		if err := json.Unmarshal(data, &catalog); err != nil {
			return nil, fmt.Errorf("lang/%s.json: %w", tag, err)
		}
		p.catalogs[tag.String()] = catalog
	}
	names, err := fs.Glob(embedded, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := template.ParseFS(embedded, "templates/layout.html", "templates/list.html", name)
		if err != nil {
			return nil, err
		}
		p.byName[strings.TrimPrefix(name, "templates/")] = t
	}
	return p, nil
}

// view is what every template sees.
type view struct {
	Lang  string
	Path  string // of the request, to come back to
	Site  string
	Token string // of the session's forms
	Visit *visit // nil before the sign-in
	Page  any    // the page's own
	words map[string]string
}

// T is a text in the reader's language; numbers and names go into its %s.
func (v view) T(key string, args ...any) (string, error) {
	text, ok := v.words[key]
	if !ok {
		return "", fmt.Errorf("no text %q in %s", key, v.Lang)
	}
	if len(args) == 0 {
		return text, nil
	}
	for i := range args {
		args[i] = fmt.Sprint(args[i])
	}
	return fmt.Sprintf(text, args...), nil
}

// In marks the entry of the menu that the page is, or is below.
func (v view) In(path string) template.HTMLAttr {
	at, _, _ := strings.Cut(v.Path, "?")
	if at == path || strings.HasPrefix(at, path+"/") {
		return ` aria-current="true"`
	}
	return ""
}

// Admin says whether lists are shown.
func (v view) Admin() bool {
	if v.Visit == nil || !v.Visit.Complete {
		return false
	}
	_, ok := v.Visit.Scope()
	return ok
}

// Overall says whether the reader administers the whole site.
func (v view) Overall() bool { return v.Admin() && v.Visit.Role == "admin" }

// render writes a page. htmx gets the part of it that changes, if the page has one.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, v *visit, page any) {
	lang := s.language(r)
	data := view{Lang: lang, Path: r.URL.RequestURI(), Site: s.declared.Site, Visit: v, Page: page, words: s.pages.catalogs[lang]}
	if r.Method != http.MethodGet {
		data.Path = r.URL.Path
	}
	if v != nil {
		data.Token = s.token(v)
	}
	block, t := "layout", s.pages.byName[name]
	if r.Header.Get("HX-Request") != "" && r.Header.Get("HX-History-Restore-Request") == "" && t.Lookup("part") != nil {
		block = "part"
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, block, data); err != nil {
		s.log.ErrorContext(r.Context(), "page", "template", name, "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "HX-Request")
	w.WriteHeader(status)
	w.Write(out.Bytes())
}

// languageCookie holds a choice that was made on the page.
const languageCookie = "__Host-language"

func (s *Server) language(r *http.Request) string {
	var wanted []string
	if cookie, err := r.Cookie(languageCookie); err == nil {
		wanted = append(wanted, cookie.Value)
	}
	_, i := language.MatchStrings(s.pages.matcher, append(wanted, bounded(r.Header.Get("Accept-Language")))...)
	return languages[i].String()
}

func (s *Server) setLanguage(w http.ResponseWriter, r *http.Request) {
	if lang := r.PostFormValue("language"); s.pages.catalogs[lang] != nil {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", Secure: true, HttpOnly: true,
			SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600})
	}
	s.redirect(w, r, local(r.PostFormValue("back")))
}

// local is a path of this site, or its start: a form of elsewhere must not send people away.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

// static serves what pages load; the names hold the versions.
func static() http.Handler {
	files := http.FileServerFS(embedded)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		files.ServeHTTP(w, r)
	})
}

type problemPage struct{ Text string } // a key of the catalog

func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.render(w, r, status, "problem.html", nil, problemPage{text})
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, http.StatusNotFound, "error.missing")
}

func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request) {
	s.audit(r, "", "form", "foreign", "path", bounded(r.URL.Path), "origin", bounded(r.Header.Get("Origin")))
	s.problem(w, r, http.StatusForbidden, "error.form")
}

// fail tells the log what is wrong, and the reader only that something is.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits any more
	}
	s.log.ErrorContext(r.Context(), "request", "method", r.Method, "page", r.Pattern, "error", err) // the path may hold a link's secret
	s.problem(w, r, http.StatusServiceUnavailable, "error.server")
}
