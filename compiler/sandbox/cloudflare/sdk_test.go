package cloudflare

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/cloudflare/cloudflare-go/v6/email_routing"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/cloudflare/cloudflare-go/v6/r2"
	"github.com/cloudflare/cloudflare-go/v6/rulesets"
	"github.com/cloudflare/cloudflare-go/v6/workers"
	"github.com/cloudflare/cloudflare-go/v6/zero_trust"
)

// The tests of this file send what the SDK's own types encode, so that the
// stand-in is held to the provider's spelling and not to that of one caller.

// put sets a field of the SDK; its helper for it lives in the root package,
// which takes minutes to build.
func put[T any](value *T, present *bool, v T) { *value, *present = v, true }

const mailSource = `export default { async email(m) {}, async queue(b) {} }`

// moduleFile is a module as the SDK wants files: a reader with a name and a type.
type moduleFile struct{ io.Reader }

func (moduleFile) Filename() string    { return "worker.mjs" }
func (moduleFile) ContentType() string { return "application/javascript+module" }

func uploadTyped(t *testing.T, s *stand, bindings ...workers.ScriptUpdateParamsMetadataBindingUnion) *workers.ScriptUpdateResponse {
	t.Helper()
	var p workers.ScriptUpdateParams
	put(&p.AccountID.Value, &p.AccountID.Present, s.account)
	var m workers.ScriptUpdateParamsMetadata
	put(&m.MainModule.Value, &m.MainModule.Present, "worker.mjs")
	put(&m.CompatibilityDate.Value, &m.CompatibilityDate.Present, "2026-11-01")
	put(&m.Bindings.Value, &m.Bindings.Present, bindings)
	put(&p.Metadata.Value, &p.Metadata.Present, m)
	put(&p.Files.Value, &p.Files.Present, []io.Reader{moduleFile{bytes.NewReader([]byte(mailSource))}})
	res, err := workers.NewScriptService(s.opts...).Update(context.Background(), "mail-edge", p)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestTypedWorkerQueueBucket(t *testing.T) {
	s := newStand(t, Options{})
	ctx := context.Background()
	var qp queues.QueueNewParams
	put(&qp.AccountID.Value, &qp.AccountID.Present, s.account)
	put(&qp.QueueName.Value, &qp.QueueName.Present, "mail-retry")
	q, err := queues.NewQueueService(s.opts...).New(ctx, qp)
	if err != nil || q.QueueName != "mail-retry" || q.Settings.MessageRetentionPeriod != usualRetention {
		t.Fatalf("%+v, %v", q, err)
	}
	var bp r2.BucketNewParams
	bp.AccountID = qp.AccountID
	put(&bp.Name.Value, &bp.Name.Present, "mail-spool")
	if b, err := r2.NewBucketService(s.opts...).New(ctx, bp); err != nil || b.Name != "mail-spool" || b.StorageClass != "Standard" {
		t.Fatalf("%+v, %v", b, err)
	}
	var spool workers.ScriptUpdateParamsMetadataBindingsWorkersBindingKindR2Bucket
	put(&spool.Name.Value, &spool.Name.Present, "SPOOL")
	put(&spool.Type.Value, &spool.Type.Present, workers.ScriptUpdateParamsMetadataBindingsWorkersBindingKindR2BucketTypeR2Bucket)
	put(&spool.BucketName.Value, &spool.BucketName.Present, "mail-spool")
	res := uploadTyped(t, s, spool)
	if res.Etag == "" || strings.Join(res.Handlers, " ") != "email queue" {
		t.Errorf("uploaded %+v", res)
	}
	var c queues.ConsumerNewParamsBodyMqWorkerConsumerRequest
	put(&c.ScriptName.Value, &c.ScriptName.Present, "mail-edge")
	put(&c.Type.Value, &c.Type.Present, queues.ConsumerNewParamsBodyMqWorkerConsumerRequestTypeWorker)
	put(&c.DeadLetterQueue.Value, &c.DeadLetterQueue.Present, "mail-dlq")
	var cp queues.ConsumerNewParams
	cp.AccountID, cp.Body = qp.AccountID, c
	if made, err := queues.NewConsumerService(s.opts...).New(ctx, q.QueueID, cp); err != nil || made.DeadLetterQueue != "mail-dlq" {
		t.Fatalf("%+v, %v", made, err)
	}
	var lp queues.QueueListParams
	lp.AccountID = qp.AccountID
	all, err := queues.NewQueueService(s.opts...).List(ctx, lp)
	if err != nil || len(all.Result) != 2 || all.Result[0].ConsumersTotalCount != 1 || all.Result[0].ProducersTotalCount != 0 {
		t.Errorf("%+v, %v; want the dead letter queue made too", all, err)
	}
}

func TestTypedEmailRouting(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	ctx := context.Background()
	e := email_routing.NewEmailRoutingService(s.opts...)
	var dp email_routing.DNSNewParams
	put(&dp.ZoneID.Value, &dp.ZoneID.Present, id)
	settings, err := e.DNS.New(ctx, dp)
	if err != nil || settings.Status != email_routing.SettingsStatusReady || !bool(settings.Enabled) {
		t.Fatalf("%+v, %v", settings, err)
	}
	uploadTyped(t, s)
	var m email_routing.MatcherParam
	put(&m.Type.Value, &m.Type.Present, email_routing.MatcherTypeLiteral)
	put(&m.Field.Value, &m.Field.Present, email_routing.MatcherFieldTo)
	put(&m.Value.Value, &m.Value.Present, "ann@example.com")
	var a email_routing.ActionParam
	put(&a.Type.Value, &a.Type.Present, email_routing.ActionTypeWorker)
	put(&a.Value.Value, &a.Value.Present, []string{"mail-edge"})
	var p email_routing.RuleNewParams
	p.ZoneID = dp.ZoneID
	put(&p.Matchers.Value, &p.Matchers.Present, []email_routing.MatcherParam{m})
	put(&p.Actions.Value, &p.Actions.Present, []email_routing.ActionParam{a})
	rule, err := e.Rules.New(ctx, p)
	if err != nil || rule.Matchers[0].Value != "ann@example.com" || !bool(rule.Enabled) {
		t.Fatalf("%+v, %v", rule, err)
	}
	var lp email_routing.RuleListParams
	lp.ZoneID = dp.ZoneID
	rules, err := e.Rules.List(ctx, lp)
	if err != nil || len(rules.Result) != 2 || rules.Result[1].Priority != lastPriority {
		t.Errorf("%+v, %v; want the rule and the catch-all", rules, err)
	}
	path := "/zones/" + id + "/email/routing/rules"
	for body, want := range map[string]string{
		`{"matchers":[{"type":"all"}],"actions":[{"type":"drop"}]}`:                                                                     "2062",
		`{"matchers":[{"type":"literal","field":"to","value":"a@example.org"}],"actions":[{"type":"drop"}]}`:                            "does not route",
		`{"matchers":[{"type":"literal","field":"to","value":"a@example.com"}],"actions":[{"type":"forward","value":["x@y.example"]}]}`: "verified",
		`{"matchers":[{"type":"literal","field":"to","value":"a@example.com"}],"actions":[{"type":"worker","value":["none"]}]}`:         "existing Worker",
	} {
		if status, out := s.call(t, "POST", path, body); status != 400 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %s, want %q", body, status, out, want)
		}
	}
}

// While Email Routing is locked no other MX record may appear, and its own
// can't be touched.
func TestRoutingLocksItsRecords(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	s.call(t, "POST", "/zones/"+id+"/email/routing/dns", `{}`)
	path := "/zones/" + id + "/dns_records"
	if _, out := s.call(t, "POST", path, `{"type":"MX","name":"example.com","content":"mx.example.net","priority":1}`); !strings.Contains(out, "Disable Email Routing") {
		t.Error(out)
	}
	if _, out := s.call(t, "POST", path, `{"type":"TXT","name":"example.com","content":"\"v=spf1 -all\""}`); !strings.Contains(out, "Only one SPF") {
		t.Error(out)
	}
	_, out := s.call(t, "GET", path+"?type=MX", "")
	if strings.Count(out, `"read_only":true`) != 3 {
		t.Error(out)
	}
	_, rest, _ := strings.Cut(out, `"id":"`)
	if status, out := s.call(t, "DELETE", path+"/"+rest[:32], ""); status != 400 {
		t.Errorf("a locked record was deleted: %s", out)
	}
	s.call(t, "PATCH", "/zones/"+id+"/email/routing/dns", `{}`)
	if status, out := s.call(t, "DELETE", path+"/"+rest[:32], ""); status != 200 {
		t.Errorf("an unlocked record was not deleted: %s", out)
	}
	if _, out := s.call(t, "GET", "/zones/"+id+"/email/routing", ""); !strings.Contains(out, `"status":"misconfigured"`) {
		t.Errorf("with an MX record missing: %s", out)
	}
}

func TestTypedTunnelAndAccess(t *testing.T) {
	s := newStand(t, Options{})
	s.zoneID(t, "example.com", Free)
	ctx := context.Background()
	var tp zero_trust.TunnelCloudflaredNewParams
	put(&tp.AccountID.Value, &tp.AccountID.Present, s.account)
	put(&tp.Name.Value, &tp.Name.Present, "mail")
	put(&tp.ConfigSrc.Value, &tp.ConfigSrc.Present, zero_trust.TunnelCloudflaredNewParamsConfigSrcCloudflare)
	tunnels := zero_trust.NewTunnelCloudflaredService(s.opts...)
	tunnel, err := tunnels.New(ctx, tp)
	if err != nil || tunnel.Status != "inactive" || len(tunnel.ID) != 36 {
		t.Fatalf("%+v, %v", tunnel, err)
	}
	var up zero_trust.TunnelCloudflaredConfigurationUpdateParams
	up.AccountID = tp.AccountID
	var host, rest zero_trust.TunnelCloudflaredConfigurationUpdateParamsConfigIngress
	put(&host.Hostname.Value, &host.Hostname.Present, "webmail.example.com")
	put(&host.Service.Value, &host.Service.Present, "http://nginx:80")
	put(&rest.Service.Value, &rest.Service.Present, "http_status:404")
	var config zero_trust.TunnelCloudflaredConfigurationUpdateParamsConfig
	put(&config.Ingress.Value, &config.Ingress.Present, []zero_trust.TunnelCloudflaredConfigurationUpdateParamsConfigIngress{host, rest})
	put(&up.Config.Value, &up.Config.Present, config)
	if out, err := tunnels.Configurations.Update(ctx, tunnel.ID, up); err != nil || out.Version != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	var pp zero_trust.AccessPolicyNewParams
	pp.AccountID = tp.AccountID
	put(&pp.Name.Value, &pp.Name.Present, "people")
	put(&pp.Decision.Value, &pp.Decision.Present, zero_trust.DecisionAllow)
	var domain zero_trust.DomainRuleParam
	var inner zero_trust.DomainRuleEmailDomainParam
	put(&inner.Domain.Value, &inner.Domain.Present, "example.com")
	put(&domain.EmailDomain.Value, &domain.EmailDomain.Present, inner)
	put(&pp.Include.Value, &pp.Include.Present, []zero_trust.AccessRuleUnionParam{domain})
	policy, err := zero_trust.NewAccessPolicyService(s.opts...).New(ctx, pp)
	if err != nil {
		t.Fatal(err)
	}
	var link zero_trust.AccessApplicationNewParamsBodySelfHostedApplicationPoliciesAccessAppPolicyLink
	put(&link.ID.Value, &link.ID.Present, policy.ID)
	var body zero_trust.AccessApplicationNewParamsBodySelfHostedApplication
	put(&body.Name.Value, &body.Name.Present, "webmail")
	put(&body.Domain.Value, &body.Domain.Present, "webmail.example.com")
	put(&body.Type.Value, &body.Type.Present, zero_trust.ApplicationTypeSelfHosted)
	put(&body.Policies.Value, &body.Policies.Present, []zero_trust.AccessApplicationNewParamsBodySelfHostedApplicationPolicyUnion{link})
	ap := zero_trust.AccessApplicationNewParams{Body: body}
	ap.AccountID = tp.AccountID
	app, err := zero_trust.NewAccessApplicationService(s.opts...).New(ctx, ap)
	if err != nil || len(app.AUD) != 64 {
		t.Fatalf("%+v, %v", app, err)
	}
}

func TestTypedRulesets(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	var limit rulesets.BlockRuleRatelimitParam
	put(&limit.Characteristics.Value, &limit.Characteristics.Present, []string{"cf.colo.id", "ip.src"})
	put(&limit.Period.Value, &limit.Period.Present, 10)
	put(&limit.RequestsPerPeriod.Value, &limit.RequestsPerPeriod.Present, 20)
	put(&limit.MitigationTimeout.Value, &limit.MitigationTimeout.Present, 10)
	var rule rulesets.BlockRuleParam
	put(&rule.Action.Value, &rule.Action.Present, rulesets.BlockRuleActionBlock)
	put(&rule.Expression.Value, &rule.Expression.Present, `(http.request.uri.path eq "/")`)
	put(&rule.Ref.Value, &rule.Ref.Present, "login")
	put(&rule.Ratelimit.Value, &rule.Ratelimit.Present, limit)
	var p rulesets.PhaseUpdateParams
	put(&p.ZoneID.Value, &p.ZoneID.Present, id)
	put(&p.Rules.Value, &p.Rules.Present, []rulesets.PhaseUpdateParamsRuleUnion{rule})
	out, err := rulesets.NewPhaseService(s.opts...).Update(context.Background(), rulesets.PhaseHTTPRatelimit, p)
	if err != nil || len(out.Rules) != 1 || out.Rules[0].Ref != "login" || out.Version != "1" {
		t.Fatalf("%+v, %v", out, err)
	}
}
