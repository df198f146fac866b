package drill

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// inbox is a Maildir of the snapshot: how many messages each of its folders holds. The INBOX is "".
type inbox map[string]int

// mailboxes opens every folder of every mailbox with Dovecot and compares the number of messages it
// shows with the manifest's.
func (d *Drill) mailboxes(ctx context.Context, r *Receipt, scratch string) {
	for _, c := range d.of("maildir") {
		detail, err := d.mailClass(ctx, c.Name, scratch)
		r.add("mail "+c.Name, detail, err)
	}
}

func (d *Drill) mailClass(ctx context.Context, class, scratch string) (string, error) {
	boxes, err := d.inboxes(class)
	if err != nil {
		return "", err
	}
	if err := giveAway(filepath.Join(scratch, class)); err != nil {
		return "", err
	}
	conf := filepath.Join(scratch, ".dovecot.conf")
	if err := d.writeDovecotConf(conf, scratch); err != nil {
		return "", err
	}
	wrong := d.openAll(ctx, conf, scratch, boxes)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	folders, messages := 0, 0
	for _, box := range boxes {
		for _, n := range box {
			folders, messages = folders+1, messages+n
		}
	}
	return fmt.Sprintf("Dovecot opens %d mailboxes with %d folders and %d messages", len(boxes), folders, messages), joined(wrong)
}

// openAll opens the mailboxes, several at once: starting a program, in a container above all, is mostly waiting.
func (d *Drill) openAll(ctx context.Context, conf, scratch string, boxes map[string]inbox) []error {
	names := slices.Sorted(maps.Keys(boxes))
	wrong := make([]error, len(names))
	var group errgroup.Group
	group.SetLimit(max(d.Workers, 1))
	for i, maildir := range names {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			if err := d.openMaildir(ctx, conf, filepath.Join(scratch, maildir), boxes[maildir]); err != nil {
				wrong[i] = fmt.Errorf("%s: %w", maildir, err)
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return none
	return slices.DeleteFunc(wrong, func(err error) bool { return err == nil })
}

// inboxes counts the messages of every Maildir of a class.
func (d *Drill) inboxes(class string) (map[string]inbox, error) {
	boxes := map[string]inbox{}
	err := d.Snapshot.Entries(func(e manifest.Entry) error {
		if e.Class() != class {
			return nil
		}
		dir := path.Dir(e.Path)
		if e.Kind == manifest.Dir {
			if path.Base(e.Path) == "cur" {
				root, folder := splitMaildir(dir)
				box(boxes, root)[folder] += 0
			}
			return nil
		}
		if base := path.Base(dir); base == "cur" || base == "new" {
			root, folder := splitMaildir(path.Dir(dir))
			box(boxes, root)[folder]++
		}
		return nil
	})
	return boxes, err
}

func box(boxes map[string]inbox, root string) inbox {
	if boxes[root] == nil {
		boxes[root] = inbox{}
	}
	return boxes[root]
}

// splitMaildir parts a Maildir++ folder, ROOT/.Archive.2025, from its root.
func splitMaildir(dir string) (root, folder string) {
	if base := path.Base(dir); strings.HasPrefix(base, ".") {
		return path.Dir(dir), strings.TrimPrefix(base, ".")
	}
	return dir, ""
}

// nobody is the user and group the mail of the drill belongs to: Dovecot opens no mail as root.
const nobody = 65534

func giveAway(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

// dovecotConf is what a Dovecot needs to open any one Maildir, HOME, by series.
var dovecotConf = map[string]string{
	"2.3": "mail_location = maildir:~/\n",
	// It clears its environment but for what is named, and has no home without a user database.
	"2.4": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nmail_driver = maildir\nmail_home = %{env:HOME}\nmail_path = ~/\n" +
		"import_environment {\n  USER = %{env:USER}\n  HOME = %{env:HOME}\n}\n",
}

func (d *Drill) writeDovecotConf(file, scratch string) error {
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = nobody, nobody
	}
	text := dovecotConf[d.Config.Drill.Dovecot] + fmt.Sprintf(`base_dir = %s/.dovecot
mail_uid = %d
mail_gid = %d
first_valid_uid = 1
first_valid_gid = 1
log_path = /dev/stderr
`, scratch, uid, gid)
	return os.WriteFile(file, []byte(text), 0o644)
}

// openMaildir speaks IMAP (RFC 9051) with a Dovecot started for this mailbox alone.
func (d *Drill) openMaildir(ctx context.Context, conf, maildir string, want inbox) error {
	cmd := exec.CommandContext(ctx, d.Config.Drill.IMAP, "-c", conf)
	cmd.Env = append(os.Environ(), "USER=drill", "HOME="+maildir, "MAIL=maildir:"+maildir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer in.Close()
	s := &session{in: in, out: bufio.NewReader(out)}
	if line, err := s.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* PREAUTH") {
		return fmt.Errorf("%s does not start: %s", d.Config.Drill.IMAP, strings.TrimSpace(line+log.String()))
	}
	for folder, messages := range want {
		got, err := s.examine(folder)
		if err != nil {
			return fmt.Errorf("%w %s", err, lastLine([]byte(log.String())))
		}
		if got != messages {
			return fmt.Errorf("folder %q shows %d messages, the manifest lists %d", folder, got, messages)
		}
	}
	_, err = s.command("LOGOUT")
	return err
}

// session is a conversation in IMAP, as far as a drill needs one.
type session struct {
	in  io.Writer
	out *bufio.Reader
	tag int
}

// examine opens a folder, reads every message's size, and returns how many there are.
func (s *session) examine(folder string) (int, error) {
	if folder == "" {
		folder = "INBOX"
	}
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(folder) + `"`
	lines, err := s.command("EXAMINE " + quoted)
	if err != nil {
		return 0, err
	}
	exists := 0
	for _, line := range lines {
		var n int
		if _, err := fmt.Sscanf(line, "* %d EXISTS", &n); err == nil {
			exists = n
		}
	}
	if exists == 0 {
		return 0, nil
	}
	if lines, err = s.command("FETCH 1:* (UID RFC822.SIZE)"); err != nil {
		return 0, err
	}
	fetched := 0
	for _, line := range lines {
		if strings.Contains(line, " FETCH (") && strings.Contains(line, "RFC822.SIZE") {
			fetched++
		}
	}
	if fetched != exists {
		return 0, fmt.Errorf("folder %q: Dovecot reads %d messages of %d", folder, fetched, exists)
	}
	return exists, nil
}

// command sends one command and returns the untagged answers to it.
func (s *session) command(text string) ([]string, error) {
	s.tag++
	tag := fmt.Sprintf("a%d ", s.tag)
	if _, err := io.WriteString(s.in, tag+text+"\r\n"); err != nil {
		return nil, err
	}
	var lines []string
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		line = strings.TrimRight(line, "\r\n")
		if answer, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(answer, "OK") {
				return nil, fmt.Errorf("%s: %s", text, answer)
			}
			return lines, nil
		}
		lines = append(lines, line)
	}
}
