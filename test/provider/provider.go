// Package provider is a stand-in for the AWS provider of Terraform: it speaks the real plugin protocol, has the schema
// of the resources and data sources that compiler/emit/terraform uses, as the provider's documentation gives it, and
// keeps an "account" in a JSON file instead of in a cloud. It serves tests and the sandbox and must know nothing of
// mailplan. Installed from a local filesystem mirror it stands in for registry.terraform.io/hashicorp/aws.
package provider

import (
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// AccountVariable is the environment variable that names the account's file.
const AccountVariable = "MAILPLAN_SANDBOX_AWS"

// Address is under which Terraform knows the provider.
const Address = "registry.terraform.io/hashicorp/aws"

// New makes the provider.
func New() provider.Provider { return &aws{} }

type aws struct{}

// session is one configured provider: where it acts, and what it puts on all resources.
type session struct {
	account *account
	region  string
	tags    map[string]string
}

// Metadata names the provider.
func (*aws) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "aws", "6.0.0"
}

// Schema is the configuration of the provider.
func (*aws) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		Attributes: map[string]schema.Attribute{"region": schema.StringAttribute{Optional: true}},
		Blocks: map[string]schema.Block{"default_tags": schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{"tags": schema.MapAttribute{Optional: true, ElementType: types.StringType}},
		}}},
	}
}

// Configure opens the account.
func (*aws) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	file := os.Getenv(AccountVariable)
	if file == "" {
		resp.Diagnostics.AddError("no account", "the environment names no account: "+AccountVariable)
		return
	}
	var region types.String
	var tags []struct {
		Tags map[string]string `tfsdk:"tags"`
	}
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("region"), &region)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("default_tags"), &tags)...)
	s := &session{account: &account{file: file}, region: region.ValueString(), tags: map[string]string{}}
	for _, t := range tags {
		for name, value := range t.Tags {
			s.tags[name] = value
		}
	}
	resp.ResourceData, resp.DataSourceData = s, s
}

// Resources are those of the table.
func (*aws) Resources(context.Context) []func() resource.Resource {
	var out []func() resource.Resource
	for _, k := range kinds() {
		out = append(out, func() resource.Resource { return &item{kind: k} })
	}
	return out
}

// DataSources are the policy documents and the caller.
func (*aws) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &policyDocument{} },
		func() datasource.DataSource { return &callerIdentity{} },
	}
}
