package edge

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// operationsPerBatch is the API's bound on the Free plan; other plans allow more.
const operationsPerBatch = 200

// Changes are operations on the records of one zone. Deletes, Patches and Puts
// name their record by ID.
type Changes struct {
	Deletes []Record
	// Patches set every field of Record and keep the tags and settings.
	Patches []Record
	// Puts replace the record and drop tags and settings.
	Puts []Record
	// Posts create records.
	Posts []Record
}

// Len is the number of operations.
func (c Changes) Len() int { return len(c.Deletes) + len(c.Patches) + len(c.Puts) + len(c.Posts) }

// check refuses what the provider would refuse, before anything is sent.
func (c Changes) check() error {
	for _, r := range slices.Concat(c.Deletes, c.Patches, c.Puts) {
		if r.ID == "" {
			return fmt.Errorf("record %s %s has no id: read the zone first", r.Type, r.Name)
		}
		if r.ReadOnly {
			return fmt.Errorf("record %s %s is managed by the provider and can't be changed", r.Type, r.Name)
		}
	}
	for _, r := range slices.Concat(c.Patches, c.Puts, c.Posts) {
		if n := utf8.RuneCountInString(r.Comment); n > MaxComment {
			return fmt.Errorf("record %s %s: comment has %d characters, at most %d are allowed", r.Type, r.Name, n, MaxComment)
		}
	}
	return nil
}

// first describes one operation, for messages.
func (c Changes) first() string {
	if len(c.Deletes) > 0 {
		return fmt.Sprintf("the deletion of %s %s", c.Deletes[0].Type, c.Deletes[0].Name)
	}
	for _, r := range slices.Concat(c.Posts, c.Patches, c.Puts) {
		return fmt.Sprintf("%s %s", r.Type, r.Name)
	}
	return "anything"
}

// remaining is what of c the live records do not show.
func (c Changes) remaining(live []Record) Changes {
	byID, byKey := index(live)
	var rest Changes
	for _, r := range c.Deletes {
		if _, there := byID[r.ID]; there {
			rest.Deletes = append(rest.Deletes, r)
		}
	}
	changed := func(r Record) bool { held, there := byID[r.ID]; return there && Same(held, r) }
	rest.Patches = slices.DeleteFunc(slices.Clone(c.Patches), changed)
	rest.Puts = slices.DeleteFunc(slices.Clone(c.Puts), changed)
	rest.Posts = slices.DeleteFunc(slices.Clone(c.Posts), func(r Record) bool { _, there := byKey[r.Key()]; return there })
	return rest
}

// made returns the live records that c asked for.
func (c Changes) made(live []Record) []Record {
	byID, byKey := index(live)
	var made []Record
	for _, r := range slices.Concat(c.Patches, c.Puts) {
		made = append(made, byID[r.ID])
	}
	for _, r := range c.Posts {
		made = append(made, byKey[r.Key()])
	}
	return made
}

func index(live []Record) (byID, byKey map[string]Record) {
	byID, byKey = map[string]Record{}, map[string]Record{}
	for _, r := range live {
		byID[r.ID], byKey[r.Key()] = r, r
	}
	return byID, byKey
}

// split cuts c into transactions of at most n operations. Names that lose one
// record and gain another keep both in one transaction, so that they never
// stand empty; what is left over fills the batches, creations from the front
// and deletions from the back.
func (c Changes) split(n int) []Changes {
	if c.Len() <= n {
		if c.Len() == 0 {
			return nil
		}
		return []Changes{c}
	}
	bound, free := c.bind()
	var parts []Changes
	for _, group := range bound {
		parts = placeGroup(parts, group, n)
	}
	for total := c.Len(); len(parts)*n < total; {
		parts = append(parts, Changes{})
	}
	for i := range parts {
		parts[i].Posts = append(parts[i].Posts, cut(&free.Posts, n-parts[i].Len())...)
	}
	for i := range parts {
		parts[i].Patches = append(parts[i].Patches, cut(&free.Patches, n-parts[i].Len())...)
		parts[i].Puts = append(parts[i].Puts, cut(&free.Puts, n-parts[i].Len())...)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		parts[i].Deletes = append(parts[i].Deletes, cut(&free.Deletes, n-parts[i].Len())...)
	}
	return parts
}

// bind separates the names with both a deletion and another operation.
func (c Changes) bind() (bound []Changes, free Changes) {
	deleted := map[string]int{}
	for _, r := range c.Deletes {
		deleted[Canonical(r).Name] = -1
	}
	group := func(r Record) *Changes {
		name := Canonical(r).Name
		i, lost := deleted[name]
		if !lost {
			return nil
		}
		if i < 0 {
			i, bound = len(bound), append(bound, Changes{})
			deleted[name] = i
		}
		return &bound[i]
	}
	for _, part := range []func(*Changes) *[]Record{
		func(c *Changes) *[]Record { return &c.Posts },
		func(c *Changes) *[]Record { return &c.Patches },
		func(c *Changes) *[]Record { return &c.Puts },
	} {
		for _, r := range *part(&c) {
			to := &free
			if g := group(r); g != nil {
				to = g
			}
			*part(to) = append(*part(to), r)
		}
	}
	for _, r := range c.Deletes {
		to := &free
		if i := deleted[Canonical(r).Name]; i >= 0 {
			to = &bound[i]
		}
		to.Deletes = append(to.Deletes, r)
	}
	return bound, free
}

// placeGroup puts a group into the first part with room for it.
func placeGroup(parts []Changes, group Changes, n int) []Changes {
	for i := range parts {
		if parts[i].Len()+group.Len() <= n {
			parts[i] = parts[i].plus(group)
			return parts
		}
	}
	// A group above the bound can't be one transaction; creations come first.
	for group.Len() > n {
		var part Changes
		part.Posts = cut(&group.Posts, n)
		part.Patches = cut(&group.Patches, n-part.Len())
		part.Puts = cut(&group.Puts, n-part.Len())
		part.Deletes = cut(&group.Deletes, n-part.Len())
		parts = append(parts, part)
	}
	return append(parts, group)
}

func (c Changes) plus(o Changes) Changes {
	return Changes{
		Deletes: append(c.Deletes, o.Deletes...), Patches: append(c.Patches, o.Patches...),
		Puts: append(c.Puts, o.Puts...), Posts: append(c.Posts, o.Posts...),
	}
}

// cut takes up to n records off the front.
func cut(from *[]Record, n int) []Record {
	n = min(n, len(*from))
	head := (*from)[:n:n]
	*from = (*from)[n:]
	return head
}
