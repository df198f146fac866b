package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// schema is the kind as the plugin protocol has it.
func (k kind) schema() schema.Schema {
	s := schema.Schema{Attributes: attributesOf(k.attributes), Blocks: blocksOf(k.blocks)}
	s.Attributes["id"] = given(text).schema()
	s.Attributes["region"] = mayGiven(text).schema() // since version 6 every resource has it
	if k.taggable {
		s.Attributes["tags"] = may(textMap).schema()
		s.Attributes["tags_all"] = schema.MapAttribute{Computed: true, ElementType: types.StringType}
	}
	return s
}

func attributesOf(from map[string]attribute) map[string]schema.Attribute {
	out := map[string]schema.Attribute{}
	for name, a := range from {
		out[name] = a.schema()
	}
	return out
}

func blocksOf(from map[string]block) map[string]schema.Block {
	out := map[string]schema.Block{}
	for name, b := range from {
		out[name] = schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: attributesOf(b.attributes), Blocks: blocksOf(b.blocks)}}
	}
	return out
}

func (a attribute) schema() schema.Attribute {
	switch a.of {
	case number:
		return schema.NumberAttribute{Required: a.required, Optional: a.optional, Computed: a.computed}
	case truth:
		return a.truth()
	case texts:
		return schema.SetAttribute{Required: a.required, Optional: a.optional, Computed: a.computed, ElementType: types.StringType}
	case textMap:
		return schema.MapAttribute{Required: a.required, Optional: a.optional, Computed: a.computed, ElementType: types.StringType}
	}
	return a.text()
}

func (a attribute) truth() schema.Attribute {
	out := schema.BoolAttribute{Required: a.required, Optional: a.optional, Computed: a.computed}
	if preset, ok := a.preset.(bool); ok {
		out.Default = booldefault.StaticBool(preset)
	}
	if a.computed {
		out.PlanModifiers = append(out.PlanModifiers, boolplanmodifier.UseStateForUnknown())
	}
	if a.replaces {
		out.PlanModifiers = append(out.PlanModifiers, boolplanmodifier.RequiresReplace())
	}
	return out
}

func (a attribute) text() schema.Attribute {
	out := schema.StringAttribute{Required: a.required, Optional: a.optional, Computed: a.computed}
	if preset, ok := a.preset.(string); ok {
		out.Default = stringdefault.StaticString(preset)
	}
	var modifiers []planmodifier.String
	if a.computed {
		modifiers = append(modifiers, stringplanmodifier.UseStateForUnknown())
	}
	if a.replaces {
		modifiers = append(modifiers, stringplanmodifier.RequiresReplace())
	}
	out.PlanModifiers = modifiers
	return out
}
