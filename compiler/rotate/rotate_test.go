package rotate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
)

func site(rotated string, overdue string) *model.Site {
	s := &model.Site{Name: "home"}
	s.Relay.Password.Secret, s.Edge.Token.Secret, s.Edge.Tunnel.Token.Secret = "RELAY", "CF", "TUNNEL"
	s.Edge.Ingest.Token.Secret, s.Edge.Ingest.SigningKey.Secret, s.Edge.Worker.DigestKey.Secret = "TOKEN", "SIGN", "DIGEST"
	s.Secrets = model.Secrets{WarnDays: 14, Overdue: overdue, Names: map[string]model.SecretRule{"TOKEN": {Rotated: rotated}}}
	return s
}

// TestStatus holds the days on which a secret of 90 days begins to be told, and is overdue.
func TestStatus(t *testing.T) {
	got := map[string]State{}
	for _, day := range []string{"2026-01-01", "2026-03-17", "2026-03-18", "2026-04-01", "2026-04-02"} {
		now, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range Statuses(site("2026-01-01", "fail"), now.Add(23*time.Hour)) {
			if st.Name == "TOKEN" {
				got[day] = st.State
				if st.Due != "2026-04-01" || st.Kind != Overlap {
					t.Errorf("due %s, kind %s", st.Due, st.Kind)
				}
			}
		}
	}
	want := map[string]State{"2026-01-01": OK, "2026-03-17": OK, "2026-03-18": Soon, "2026-04-01": Soon, "2026-04-02": Overdue}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestPublishes(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  bool
	}{
		{[]string{"v=DKIM1; k=rsa; p=AbC="}, true},
		{[]string{"v=DKIM1;p = Ab C= ;"}, true},
		{[]string{"v=DKIM1; p="}, false},
		{[]string{"v=DKIM1; p=abc="}, false},
		{[]string{"v=DKIM1; p=AbC=", "v=DKIM1; p=AbC="}, false},
		{nil, false},
	} {
		if got := Publishes(test.texts, "AbC="); got != test.want {
			t.Errorf("%q: %v", test.texts, got)
		}
	}
	if Publishes([]string{"v=DKIM1; p="}, "") {
		t.Error("a revoked key passes for an empty one")
	}
}

func TestOther(t *testing.T) {
	for name, want := range map[string]string{"TOKEN": "TOKEN.b", "TOKEN.b": "TOKEN", ".b": ".b.b"} {
		if got := other(name); got != want {
			t.Errorf("%s -> %s, want %s", name, got, want)
		}
	}
}
