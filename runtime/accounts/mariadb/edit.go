package mariadb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// editColumns are what scanEdit reads.
const editColumns = "id, asked_by, domain, asked_at, request, state, COALESCE(answer, '')"

// Edits lists those that wait for mailplan, the oldest first.
func Edits(ctx context.Context, db *sql.DB) ([]accounts.Edit, error) {
	return readEdits(ctx, db, "WHERE state IN ('asked', 'confirmed', 'discarded') ORDER BY id LIMIT 1000")
}

// EditsOf lists the newest edits of a domain, of all domains where that is empty.
func EditsOf(ctx context.Context, db *sql.DB, domain string, most int) ([]accounts.Edit, error) {
	return readEdits(ctx, db, "WHERE ? IN ('', domain) ORDER BY id DESC LIMIT ?", domain, most)
}

// EditOf finds one edit of a domain, or of any where that is empty; sql.ErrNoRows says that there is none.
func EditOf(ctx context.Context, db *sql.DB, domain string, id int64) (accounts.Edit, error) {
	list, err := readEdits(ctx, db, "WHERE ? IN ('', domain) AND id = ?", domain, id)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return accounts.Edit{}, err
	}
	return list[0], nil
}

func readEdits(ctx context.Context, db *sql.DB, where string, args ...any) ([]accounts.Edit, error) {
	rows, err := db.QueryContext(ctx, "SELECT "+editColumns+" FROM console_edits "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read edits: %w", err)
	}
	defer rows.Close()
	list := []accounts.Edit{}
	for rows.Next() {
		e, err := scanEdit(rows)
		if err != nil {
			return nil, fmt.Errorf("read edits: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

func scanEdit(rows *sql.Rows) (e accounts.Edit, err error) {
	var id int64
	var by, domain, request, state, answer string
	var at sql.NullTime
	if err := rows.Scan(&id, &by, &domain, &at, &request, &state, &answer); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(request), &e); err != nil {
		return e, err
	}
	e.ID, e.By, e.Domain, e.At, e.State = id, by, domain, at.Time, accounts.EditState(state)
	if answer != "" {
		err = json.Unmarshal([]byte(answer), &e.Answer)
	}
	return e, err
}

// maxOpen is how many edits of one person may wait.
const maxOpen = 100

// Ask writes an edit down; ok is false where too many of the same person's wait.
func Ask(ctx context.Context, db *sql.DB, e accounts.Edit) (id int64, ok bool, err error) {
	request, err := json.Marshal(e)
	if err != nil {
		return 0, false, err
	}
	result, err := db.ExecContext(ctx, `INSERT INTO console_edits (asked_by, domain, request)
		SELECT ?, ?, ? FROM DUAL WHERE (SELECT COUNT(*) FROM console_edits WHERE asked_by = ? AND state IN ('asked', 'proposed')) < ?`,
		e.By, e.Domain, string(request), e.By, maxOpen)
	if err != nil {
		return 0, false, fmt.Errorf("ask for an edit: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return 0, false, err
	}
	id, err = result.LastInsertId()
	return id, true, err
}

// Decide confirms or discards a proposed edit of a domain; ok is false where it is not proposed any more.
func Decide(ctx context.Context, db *sql.DB, domain string, id int64, to accounts.EditState) (ok bool, err error) {
	result, err := db.ExecContext(ctx, "UPDATE console_edits SET state = ? WHERE id = ? AND ? IN ('', domain) AND state = 'proposed'", to, id, domain)
	if err != nil {
		return false, fmt.Errorf("decide on an edit: %w", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// AnswerEdits writes mailplan's answers down, each only where the edit still waits for it: one that was answered before, or
// decided on meanwhile, stays as it is.
func AnswerEdits(ctx context.Context, db *sql.DB, answers []accounts.EditAnswer) error {
	from := map[accounts.EditState]string{accounts.Proposed: "'asked'", accounts.Refused: "'asked', 'confirmed'",
		accounts.Done: "'confirmed'", accounts.Dropped: "'discarded'"}
	for _, a := range answers {
		states, ok := from[a.State]
		if !ok {
			return fmt.Errorf("edit %d: %q is no answer", a.ID, a.State)
		}
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "UPDATE console_edits SET state = ?, answer = ? WHERE id = ? AND state IN ("+states+")",
			a.State, strings.ToValidUTF8(string(text), "?"), a.ID); err != nil {
			return fmt.Errorf("answer edit %d: %w", a.ID, err)
		}
	}
	return nil
}
