package plan

import (
	"fmt"
	"io"
	"strings"
)

// commentLimit is what GitHub takes as one comment, in characters.
const commentLimit = 65536

// Markdown writes the plan as a comment for a pull request: the headline is always whole, the list of changes is
// cut where the comment would grow too long, and says so.
func (p Plan) Markdown(w io.Writer) error {
	var head strings.Builder
	fmt.Fprintf(&head, "### mailplan: %s\n\n%s\n", p.Headline.Summary(), p.counts())
	p.Headline.table(&head)
	tail := fmt.Sprintf("\n</details>\n\nplan `%s`, tree `%.12s`", p.ID(), p.Tree)
	if p.Revision != "" {
		tail += fmt.Sprintf(", revision `%.12s`", p.Revision)
	}
	var changes strings.Builder
	t := text{w: &changes}
	if t.body(p); t.err != nil {
		return t.err
	}
	room := commentLimit - head.Len() - len(tail) - 256
	body, cut := clip(changes.String(), room)
	if cut > 0 {
		body += fmt.Sprintf("… and %d more lines; `mailplan diff` shows them all\n", cut)
	}
	_, err := fmt.Fprintf(w, "%s\n<details><summary>all changes</summary>\n\n```\n%s```\n%s\n", head.String(), body, tail)
	return err
}

// rows is how many addresses the table names.
const rows = 200

func (h Headline) table(b *strings.Builder) {
	n := 0
	row := func(address, before, after string) {
		if n == 0 {
			b.WriteString("\n| address | before | after |\n|---|---|---|\n")
		}
		if n++; n <= rows {
			fmt.Fprintf(b, "| %s | %s | %s |\n", cell(address), cell(before), cell(after))
		}
	}
	for _, a := range h.Lost {
		after := "**refused**"
		if a.After != "" {
			after = a.After
		}
		row(a.Address, a.Before, after)
	}
	for _, address := range h.LockedOut {
		row(address, "signs in", "**locked out**")
	}
	for _, a := range h.Rerouted {
		row(a.Address, a.Before, a.After)
	}
	for _, a := range h.Gained {
		row(a.Address, "", a.After)
	}
	if n > rows {
		fmt.Fprintf(b, "\n… and %d more\n", n-rows)
	}
	if len(h.Restarts) > 0 {
		fmt.Fprintf(b, "\nrestarted: %s\n", strings.Join(h.Restarts, ", "))
	}
}

// cell keeps a value from ending its table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// clip cuts whole lines off the end; cut counts them.
func clip(s string, most int) (kept string, cut int) {
	if len(s) <= most {
		return s, 0
	}
	end := strings.LastIndexByte(s[:max(most, 0)], '\n') + 1
	return s[:end], strings.Count(s[end:], "\n")
}
