package rotate

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// Request is what to look for steps of.
type Request struct {
	Site     *model.Site
	Now      time.Time
	Names    []string // rotate these now, due or not; none: those that are due
	Observed Observed
	Issuers  map[string]Issuer // by the name of the secret that stands for the key; where one is missing, it takes a person
	Values   Reader            // asked for keys that are to go
}

// Steps are the steps that can be made now, and why others wait. Each secret gets one step at most, so that an apply
// lies between any two of its steps.
func Steps(r Request) (steps []Step, waits []string, err error) {
	for _, st := range Statuses(r.Site, r.Now) {
		p := planner{Request: r, st: st, day: r.Now.Format(time.DateOnly)}
		step, wait, err := p.next()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", st.Name, err)
		}
		if step != nil {
			steps = append(steps, *step)
		}
		if wait != "" {
			waits = append(waits, st.Name+": "+wait)
		}
	}
	return steps, waits, nil
}

// planner looks for the step of one secret.
type planner struct {
	Request
	st  Status
	day string
}

func (p planner) next() (*Step, string, error) {
	switch p.st.Kind {
	case DKIM:
		return p.dkim()
	case Overlap:
		return p.overlap()
	case Previous:
		return p.previous()
	case Signer:
		return p.signer()
	case Replace:
		return p.replace()
	case Plane:
		return p.plane()
	case Key:
		return p.key()
	}
	if p.asked() {
		return nil, "mailplan can't make a new one: " + byHand(p.Site, p.st.Name), nil
	}
	if p.st.Kind == Issued && (p.st.State == Soon || p.st.State == Overdue) {
		return nil, "due on " + p.st.Due + ": " + p.st.Next, nil
	}
	return nil, "", nil
}

// asked says whether the secret was named.
func (p planner) asked() bool { return slices.Contains(p.Names, p.st.Name) }

// begins says whether a rotation is to begin. One that is due begins at the warning, so that it is done by the day.
func (p planner) begins() bool {
	if len(p.Names) > 0 {
		return p.asked()
	}
	return p.st.State == Soon || p.st.State == Overdue
}

func (p planner) step(stage, text string, do func(*draft.Draft, Values) error) *Step {
	return &Step{Name: p.st.Name, Stage: stage, Text: text, Do: do}
}

// record writes down the day for a secret that nobody knows the age of: its period begins then.
func (p planner) record() *Step {
	if p.st.State != Unknown || len(p.Names) > 0 {
		return nil
	}
	return p.step("record", fmt.Sprintf("%s counts from %s", p.st.Name, p.day), func(d *draft.Draft, _ Values) error {
		return d.SetSecretDay(p.st.Name, p.day)
	})
}

// replace makes a new value at once.
func (p planner) replace() (*Step, string, error) {
	if !p.begins() {
		return p.record(), "", nil
	}
	return p.step("replace", fmt.Sprintf("%s gets a new value; its services restart with the next apply", p.st.Name), func(d *draft.Draft, v Values) error {
		if err := p.make(v, p.st.Name, p.st.Name); err != nil {
			return err
		}
		return d.SetSecretDay(p.st.Name, p.day)
	}), "", nil
}

// make makes a value of the kind that one secret has, under a name.
func (p planner) make(v Values, like, name string) error {
	value, err := secrets.NewGenerator(p.Site).Make(like)
	if err != nil {
		return err
	}
	return v.Set(name, value)
}

// previous lets the last value go on being good until what was made with it has come back.
func (p planner) previous() (*Step, string, error) {
	rule := p.Site.Secrets.Names[p.st.Name]
	if rule.Also != "" {
		if left := p.keep() - since(rule.AlsoSince, p.Now); left > 0 {
			return nil, fmt.Sprintf("the last value stays good for %d days more", left), nil
		}
		if wait, err := p.unapplied(); wait != "" || err != nil {
			return nil, wait, err
		}
		return p.retire(rule.Also), "", nil
	}
	if !p.begins() {
		return p.record(), "", nil
	}
	return p.step("switch", fmt.Sprintf("%s gets a new value, the last one stays good for %d days", p.st.Name, p.keep()), func(d *draft.Draft, v Values) error {
		value, err := secrets.NewGenerator(p.Site).Make(p.st.Name)
		if err != nil {
			return err
		}
		return p.take(d, v, value)
	}), "", nil
}

// take puts a value in the place of the one in use, which stays good under another name.
func (p planner) take(d *draft.Draft, v Values, value string) error {
	old, err := v.Value(p.st.Name)
	if err != nil {
		return err
	}
	if err := v.Set(previous(p.st.Name), old); err != nil {
		return err
	}
	if err := v.Set(p.st.Name, value); err != nil {
		return err
	}
	if err := d.SetSecretDay(p.st.Name, p.day); err != nil {
		return err
	}
	return p.also(d, p.st.Name, previous(p.st.Name))
}

// keep is for how many days what was made with the last value may come back, or is there.
func (p planner) keep() int {
	switch p.st.Name {
	case model.SecretBackupDrill:
		return keepBackups(p.Site.Backup)
	case model.SecretConsoleSession, model.SecretRoundcubeDES:
		return keepSessions
	case model.SecretFingerprints:
		return settle // the apply makes all of them anew
	}
	return keepPrevious
}

// keepSessions is how many days somebody may go on who has signed in before: half a day is what sessions live at most, and
// the apply comes after the switch.
const keepSessions = 3

// keepBackups is how many days backups are kept, where they are made every day.
func keepBackups(b model.Backup) int {
	days := max(b.Local.KeepDaily, 7*(b.Local.KeepWeekly+1))
	if b.Offsite != nil {
		days = max(days, b.Offsite.S3.Lock.Days, b.Offsite.S3.ExpireDays)
	}
	return days + 7 // to be sure
}

// plane writes the day down: the plane that makes it makes another one in the next apply. Of what nobody knows the age of,
// the day is noted first.
func (p planner) plane() (*Step, string, error) {
	if p.st.State == Unknown && (len(p.Names) == 0 || p.asked()) {
		p.Names = nil
		return p.record(), "", nil
	}
	if !p.begins() {
		return nil, "", nil
	}
	return p.step("replace", p.st.Name+" is made anew by the next apply", func(d *draft.Draft, v Values) error {
		if err := d.SetSecretDay(p.st.Name, p.day); err != nil {
			return err
		}
		return v.Remove(p.st.Name) // one that somebody had put there
	}), "", nil
}

// keepPrevious is how many days a bounce may take to come back, with much to spare (RFC 5321 4.5.4.1: senders try
// for four or five).
const keepPrevious = 30

// overlap goes stage -> switch -> retire for a secret that two sides of ours share.
func (p planner) overlap() (*Step, string, error) {
	rule := p.Site.Secrets.Names[p.st.Name]
	switch {
	case rule.Also == "" && p.begins():
		return p.stage(), "", nil
	case rule.Also == "":
		return p.record(), "", nil
	}
	if since(rule.AlsoSince, p.Now) < settle {
		return nil, "the next step is due tomorrow", nil
	}
	if wait, err := p.unapplied(); wait != "" || err != nil {
		return nil, wait, err
	}
	switch {
	case byField(p.Site, p.st.Name) == "" && rule.Also == coming(p.st.Name):
		return p.swap(rule.Also), "", nil
	case byField(p.Site, p.st.Name) != "" && p.Site.Secrets.Names[rule.Also].Rotated == "": // it never was in use
		return p.switchTo(rule.Also), "", nil
	}
	return p.retire(rule.Also), "", nil
}

// coming is the name of the value that comes next, of a secret whose own name never changes.
func coming(name string) string { return name + ".next" }

// swap puts the next value in the place of the one in use, which stays good beside it.
func (p planner) swap(next string) *Step {
	return p.step("switch", fmt.Sprintf("%s: the value that was staged is in use from the next apply on", p.st.Name), func(d *draft.Draft, v Values) error {
		value, err := v.Value(next)
		if err != nil {
			return err
		}
		if err := p.take(d, v, value); err != nil {
			return err
		}
		return v.Remove(next)
	})
}

// unapplied is why a step must wait for an apply.
func (p planner) unapplied() (wait string, err error) {
	applied, err := p.Observed.Applied()
	if err == nil && !applied {
		wait = "the live system is not as declared: mailplan apply first"
	}
	return wait, err
}

// stage makes the next value and lets the host accept it beside the one in use.
func (p planner) stage() *Step {
	name := coming(p.st.Name)
	if byField(p.Site, p.st.Name) != "" {
		name = other(p.st.Name)
	}
	return p.step("stage", fmt.Sprintf("%s: a new value %s is made, and accepted beside the one in use from the next apply on", p.st.Name, name), func(d *draft.Draft, v Values) error {
		if err := p.make(v, p.st.Name, name); err != nil {
			return err
		}
		if err := d.Unset(model.Path("secrets", "names", name)); err != nil {
			return err
		}
		return p.also(d, p.st.Name, name)
	})
}

// switchTo lets the other side use the new value; the old one is accepted still.
func (p planner) switchTo(name string) *Step {
	path := byField(p.Site, p.st.Name)
	return p.step("switch", fmt.Sprintf("%s: the Worker uses %s from the next apply on", p.st.Name, name), func(d *draft.Draft, _ Values) error {
		if err := d.Set(path+".secret", edit.Field{Value: name}.CUE()); err != nil {
			return err
		}
		if err := p.alone(d, p.st.Name); err != nil {
			return err
		}
		if days := p.Site.Secrets.Names[p.st.Name].RotateDays; days > 0 {
			if err := d.Set(model.Path("secrets", "names", name)+".rotateDays", edit.Field{Value: days}.CUE()); err != nil {
				return err
			}
		}
		if err := d.SetSecretDay(p.st.Name, p.setDay()); err != nil { // marks it as the old one
			return err
		}
		if err := d.SetSecretDay(name, p.day); err != nil {
			return err
		}
		return p.also(d, name, p.st.Name)
	})
}

func (p planner) setDay() string {
	if p.st.Set == "" {
		return p.day
	}
	return p.st.Set
}

// retire ends the overlap: only the value in use is good from the next apply on.
func (p planner) retire(old string) *Step {
	return p.step("retire", fmt.Sprintf("%s: %s is accepted no longer from the next apply on", p.st.Name, old), func(d *draft.Draft, v Values) error {
		return p.end(d, v, p.st.Name, old)
	})
}

// end leaves a secret with one value.
func (p planner) end(d *draft.Draft, v Values, name, old string) error {
	if err := p.alone(d, name); err != nil {
		return err
	}
	if err := d.Unset(model.Path("secrets", "names", old)); err != nil {
		return err
	}
	return v.Remove(old)
}

func (p planner) also(d *draft.Draft, name, also string) error {
	path := model.Path("secrets", "names", name)
	if err := d.Set(path+".also", edit.Field{Value: also}.CUE()); err != nil {
		return err
	}
	return d.Set(path+".alsoSince", edit.Field{Value: p.day}.CUE())
}

func (p planner) alone(d *draft.Draft, name string) error {
	path := model.Path("secrets", "names", name)
	if err := d.Unset(path + ".also"); err != nil {
		return err
	}
	return d.Unset(path + ".alsoSince")
}

// other is the second of the two names that a secret with an overlap goes by in turn.
func other(name string) string {
	const second = ".b"
	if n := len(name) - len(second); n > 0 && name[n:] == second {
		return name[:n]
	}
	return name + second
}
