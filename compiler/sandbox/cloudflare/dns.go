package cloudflare

import (
	"slices"
	"strings"
)

// deleted is the result of a deletion.
type deleted struct {
	ID string `json:"id"`
}

func listRecords(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(z.Records), func(r record) bool { return !c.matches(r) })
	slices.SortStableFunc(found, func(a, b record) int {
		return strings.Compare(a.Type+"|"+a.Name+"|"+a.ID, b.Type+"|"+b.Name+"|"+b.ID)
	})
	return listed(found, 5, 5_000_000, 100), nil
}

// matches applies the list filters that a caller may send.
func (c *call) matches(r record) bool {
	comment := ""
	if r.Comment != nil {
		comment = strings.ToLower(*r.Comment)
	}
	for name, values := range c.r.URL.Query() {
		v := strings.ToLower(strings.Join(values, ""))
		ok := true
		switch name {
		case "type":
			ok = strings.EqualFold(r.Type, v)
		case "name", "name.exact":
			ok = r.Name == v
		case "content", "content.exact":
			ok = strings.EqualFold(r.Content, v)
		case "comment.startswith":
			ok = strings.HasPrefix(comment, v)
		case "comment.contains":
			ok = r.hasComment(v)
		}
		if !ok {
			return false
		}
	}
	return true
}

func getRecord(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	i, refusal := z.find(c.r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return z.Records[i], nil
}

// changeRecord decodes the body and applies one change to the zone.
func changeRecord(c *call, change func(z *zone, in recordInput) (record, *apiError)) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	var in recordInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	r, refusal := change(z, in)
	if refusal != nil {
		return nil, refusal
	}
	return r, nil
}

func createRecord(c *call) (any, error) {
	return changeRecord(c, func(z *zone, in recordInput) (record, *apiError) { return z.post(in, c.s.now()) })
}

func patchRecord(c *call) (any, error) {
	return changeRecord(c, func(z *zone, in recordInput) (record, *apiError) {
		return z.patch(c.r.PathValue("id"), in, c.s.now())
	})
}

func putRecord(c *call) (any, error) {
	return changeRecord(c, func(z *zone, in recordInput) (record, *apiError) {
		return z.put(c.r.PathValue("id"), in, c.s.now())
	})
}

func deleteRecord(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	r, refusal := z.remove(c.r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return deleted{r.ID}, nil
}

type batchInput struct {
	Deletes []recordInput `json:"deletes"`
	Patches []recordInput `json:"patches"`
	Puts    []recordInput `json:"puts"`
	Posts   []recordInput `json:"posts"`
}

func (b batchInput) size() int {
	return len(b.Deletes) + len(b.Patches) + len(b.Puts) + len(b.Posts)
}

type batchResult struct {
	Deletes []record `json:"deletes"`
	Patches []record `json:"patches"`
	Puts    []record `json:"puts"`
	Posts   []record `json:"posts"`
}

// batchRecords runs deletes, patches, puts and posts in that order; the first
// refusal undoes all, because the zone is then never committed.
func batchRecords(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	var in batchInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if n := in.size(); n == 0 || n > z.Plan.operations() {
		return nil, refuse(9400, "A batch must hold 1 to %d operations, not %d.", z.Plan.operations(), n)
	}
	return z.batch(in, c)
}

func (z *zone) batch(in batchInput, c *call) (any, error) {
	out := batchResult{Deletes: []record{}, Patches: []record{}, Puts: []record{}, Posts: []record{}}
	now := c.s.now()
	steps := []struct {
		inputs []recordInput
		out    *[]record
		byID   bool
		run    func(id string, in recordInput) (record, *apiError)
	}{
		{in.Deletes, &out.Deletes, true, func(id string, _ recordInput) (record, *apiError) { return z.remove(id) }},
		{in.Patches, &out.Patches, true, func(id string, in recordInput) (record, *apiError) { return z.patch(id, in, now) }},
		{in.Puts, &out.Puts, true, func(id string, in recordInput) (record, *apiError) { return z.put(id, in, now) }},
		{in.Posts, &out.Posts, false, func(_ string, in recordInput) (record, *apiError) { return z.post(in, now) }},
	}
	for _, step := range steps {
		for _, input := range step.inputs {
			if step.byID && input.ID == nil {
				return nil, refuse(9401, "Every delete, patch and put of a batch needs an id.")
			}
			id := ""
			if input.ID != nil {
				id = *input.ID
			}
			r, err := step.run(id, input)
			if err != nil {
				return nil, err
			}
			*step.out = append(*step.out, r)
		}
	}
	return out, nil
}
