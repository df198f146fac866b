// Command mailplan-sandbox-aws is the stand-in for Terraform's AWS provider; Terraform starts it.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/mailplan/mailplan/test/provider"
)

func main() {
	err := providerserver.Serve(context.Background(), provider.New, providerserver.ServeOpts{Address: provider.Address, ProtocolVersion: 6})
	if err != nil {
		log.Fatal(err)
	}
}
