package provider

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// callerIdentity is the data source aws_caller_identity.
type callerIdentity struct{}

type caller struct {
	ID        string `tfsdk:"id"`
	AccountID string `tfsdk:"account_id"`
	ARN       string `tfsdk:"arn"`
	UserID    string `tfsdk:"user_id"`
}

// Metadata names the data source.
func (*callerIdentity) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "aws_caller_identity"
}

// Schema is as documented.
func (*callerIdentity) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	given := schema.StringAttribute{Computed: true}
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{"id": given, "account_id": given, "arn": given, "user_id": given}}
}

// Read knows one caller.
func (*callerIdentity) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	resp.Diagnostics.Append(resp.State.Set(ctx, caller{AccountID, AccountID, "arn:aws:iam::" + AccountID + ":user/admin", "AIDAADMIN"})...)
}

// policyDocument is the data source aws_iam_policy_document: statements to JSON.
type policyDocument struct{}

type document struct {
	ID         types.String `tfsdk:"id"`
	JSON       types.String `tfsdk:"json"`
	Statements []statement  `tfsdk:"statement"`
}

type statement struct {
	SID        types.String `tfsdk:"sid"`
	Effect     types.String `tfsdk:"effect"`
	Actions    []string     `tfsdk:"actions"`
	Resources  []string     `tfsdk:"resources"`
	Principals []principal  `tfsdk:"principals"`
	Conditions []condition  `tfsdk:"condition"`
}

type principal struct {
	Type        string   `tfsdk:"type"`
	Identifiers []string `tfsdk:"identifiers"`
}

type condition struct {
	Test     string   `tfsdk:"test"`
	Variable string   `tfsdk:"variable"`
	Values   []string `tfsdk:"values"`
}

// Metadata names the data source.
func (*policyDocument) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "aws_iam_policy_document"
}

// Schema is as documented, as far as it is used.
func (*policyDocument) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text, list := schema.StringAttribute{Required: true}, schema.ListAttribute{Required: true, ElementType: types.StringType}
	some := schema.SetAttribute{Optional: true, ElementType: types.StringType}
	nested := func(attributes map[string]schema.Attribute, blocks map[string]schema.Block) schema.Block {
		return schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: attributes, Blocks: blocks}}
	}
	resp.Schema = schema.Schema{
		Attributes: map[string]schema.Attribute{"id": schema.StringAttribute{Computed: true}, "json": schema.StringAttribute{Computed: true}},
		Blocks: map[string]schema.Block{"statement": nested(
			map[string]schema.Attribute{"sid": schema.StringAttribute{Optional: true}, "effect": schema.StringAttribute{Optional: true}, "actions": some, "resources": some},
			map[string]schema.Block{
				"principals": nested(map[string]schema.Attribute{"type": text, "identifiers": list}, nil),
				"condition":  nested(map[string]schema.Attribute{"test": text, "variable": text, "values": list}, nil),
			})},
	}
}

// Read writes the document.
func (*policyDocument) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var d document
	resp.Diagnostics.Append(req.Config.Get(ctx, &d)...)
	if resp.Diagnostics.HasError() {
		return
	}
	var list []map[string]any
	for _, s := range d.Statements {
		list = append(list, s.plain())
	}
	data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		resp.Diagnostics.AddError("aws_iam_policy_document", err.Error())
		return
	}
	d.ID, d.JSON = types.StringValue("document"), types.StringValue(string(data))
	resp.Diagnostics.Append(resp.State.Set(ctx, d)...)
}

func (s statement) plain() map[string]any {
	out := map[string]any{"Effect": "Allow", "Action": s.Actions}
	if e := s.Effect.ValueString(); e != "" {
		out["Effect"] = e
	}
	if sid := s.SID.ValueString(); sid != "" {
		out["Sid"] = sid
	}
	if len(s.Resources) > 0 {
		out["Resource"] = s.Resources
	}
	for _, p := range s.Principals {
		out["Principal"] = map[string]any{p.Type: p.Identifiers}
	}
	conditions := map[string]map[string][]string{}
	for _, c := range s.Conditions {
		if conditions[c.Test] == nil {
			conditions[c.Test] = map[string][]string{}
		}
		conditions[c.Test][c.Variable] = c.Values
	}
	if len(conditions) > 0 {
		out["Condition"] = conditions
	}
	return out
}
