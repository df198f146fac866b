package provider

import "fmt"

// AccountID is the account's.
const AccountID = "000000000000"

// kind is one type of resource. Fill computes what the provider knows only after creation, id included.
type kind struct {
	name       string
	attributes map[string]attribute
	blocks     map[string]block
	taggable   bool
	fill       func(s *session, v map[string]any)
}

// attribute of a resource; its type is one of text, number, truth, texts (a set) and textMap.
type attribute struct {
	of       string
	required bool
	optional bool
	computed bool
	replaces bool // a change makes a new resource
	preset   any  // the documented default
}

// block is nested, any number of times.
type block struct {
	attributes map[string]attribute
	blocks     map[string]block
}

const (
	text    = "text"
	number  = "number"
	truth   = "truth"
	texts   = "texts"
	textMap = "textMap"
)

func must(of string) attribute     { return attribute{of: of, required: true} }
func name() attribute              { return attribute{of: text, required: true, replaces: true} }
func may(of string) attribute      { return attribute{of: of, optional: true} }
func given(of string) attribute    { return attribute{of: of, computed: true} }
func mayGiven(of string) attribute { return attribute{of: of, optional: true, computed: true} }
func or(of string, p any) attribute {
	return attribute{of: of, optional: true, computed: true, preset: p}
}
func only(b block) map[string]block    { return map[string]block{"rule": b} }
func (s *session) arn(f string) string { return "arn:aws:" + f }

// ofBucket are the resources that configure a bucket: the bucket's name is their id.
func ofBucket(name_ string, attributes map[string]attribute, blocks map[string]block) kind {
	attributes["bucket"] = name()
	return kind{name: name_, attributes: attributes, blocks: blocks, fill: func(_ *session, v map[string]any) { v["id"] = v["bucket"] }}
}

// kinds are the resources, with the arguments that the provider's documentation lists for them as far as a module
// like ours may use them.
func kinds() []kind {
	return append(buckets(), others()...)
}

func buckets() []kind {
	type attributes = map[string]attribute
	type blocks = map[string]block
	return []kind{
		{name: "aws_s3_bucket", taggable: true,
			attributes: attributes{"bucket": {of: text, optional: true, computed: true, replaces: true}, "force_destroy": or(truth, false),
				"object_lock_enabled": {of: truth, optional: true, computed: true, replaces: true, preset: false}, "arn": given(text),
				"bucket_domain_name": given(text), "bucket_regional_domain_name": given(text)},
			fill: func(s *session, v map[string]any) {
				v["id"], v["arn"] = v["bucket"], s.arn(fmt.Sprintf("s3:::%s", v["bucket"]))
				v["bucket_domain_name"] = fmt.Sprintf("%s.s3.amazonaws.com", v["bucket"])
				v["bucket_regional_domain_name"] = fmt.Sprintf("%s.s3.%s.amazonaws.com", v["bucket"], s.region)
			}},
		ofBucket("aws_s3_bucket_versioning", attributes{"expected_bucket_owner": may(text), "mfa": may(text)},
			blocks{"versioning_configuration": {attributes: attributes{"status": must(text), "mfa_delete": may(text)}}}),
		ofBucket("aws_s3_bucket_object_lock_configuration", attributes{"object_lock_enabled": or(text, "Enabled"), "expected_bucket_owner": may(text)},
			only(block{blocks: blocks{"default_retention": {attributes: attributes{"mode": may(text), "days": may(number), "years": may(number)}}}})),
		ofBucket("aws_s3_bucket_lifecycle_configuration", attributes{"expected_bucket_owner": may(text),
			"transition_default_minimum_object_size": or(text, "all_storage_classes_128K")}, only(lifecycleRule())),
		ofBucket("aws_s3_bucket_ownership_controls", attributes{}, only(block{attributes: attributes{"object_ownership": must(text)}})),
		ofBucket("aws_s3_bucket_public_access_block", attributes{"block_public_acls": or(truth, false), "block_public_policy": or(truth, false),
			"ignore_public_acls": or(truth, false), "restrict_public_buckets": or(truth, false)}, nil),
		ofBucket("aws_s3_bucket_server_side_encryption_configuration", attributes{"expected_bucket_owner": may(text)},
			only(block{attributes: attributes{"bucket_key_enabled": may(truth)}, blocks: blocks{"apply_server_side_encryption_by_default": {
				attributes: attributes{"sse_algorithm": must(text), "kms_master_key_id": may(text)}}}})),
		ofBucket("aws_s3_bucket_policy", attributes{"policy": must(text)}, nil),
		{name: "aws_s3_bucket_metric", attributes: attributes{"bucket": name(), "name": name()},
			blocks: blocks{"filter": {attributes: attributes{"prefix": may(text), "access_point": may(text), "tags": may(textMap)}}},
			fill:   func(_ *session, v map[string]any) { v["id"] = fmt.Sprintf("%s:%s", v["bucket"], v["name"]) }},
	}
}

func lifecycleRule() block {
	type attributes = map[string]attribute
	return block{
		attributes: attributes{"id": must(text), "status": must(text)},
		blocks: map[string]block{
			"filter":                            {attributes: attributes{"prefix": may(text), "object_size_greater_than": may(number), "object_size_less_than": may(number)}},
			"expiration":                        {attributes: attributes{"date": may(text), "days": may(number), "expired_object_delete_marker": may(truth)}},
			"noncurrent_version_expiration":     {attributes: attributes{"noncurrent_days": must(number), "newer_noncurrent_versions": may(number)}},
			"abort_incomplete_multipart_upload": {attributes: attributes{"days_after_initiation": may(number)}},
		},
	}
}

func others() []kind {
	type attributes = map[string]attribute
	return []kind{
		{name: "aws_iam_user", taggable: true, attributes: attributes{"name": must(text), "path": or(text, "/"), "force_destroy": or(truth, false),
			"permissions_boundary": may(text), "arn": given(text), "unique_id": given(text)},
			fill: func(s *session, v map[string]any) {
				v["id"], v["unique_id"] = v["name"], fmt.Sprintf("AIDA%016X", len(fmt.Sprint(v["name"])))
				v["arn"] = s.arn(fmt.Sprintf("iam::%s:user%v%v", AccountID, v["path"], v["name"]))
			}},
		{name: "aws_iam_user_policy", attributes: attributes{"name": {of: text, optional: true, computed: true, replaces: true}, "user": name(), "policy": must(text)},
			fill: func(_ *session, v map[string]any) { v["id"] = fmt.Sprintf("%v:%v", v["user"], v["name"]) }},
		{name: "aws_sns_topic", taggable: true, attributes: attributes{"name": {of: text, optional: true, computed: true, replaces: true},
			"display_name": may(text), "kms_master_key_id": may(text), "fifo_topic": or(truth, false), "arn": given(text), "owner": given(text)},
			fill: func(s *session, v map[string]any) {
				v["arn"], v["owner"] = s.arn(fmt.Sprintf("sns:%s:%s:%v", s.region, AccountID, v["name"])), AccountID
				v["id"] = v["arn"]
			}},
		{name: "aws_sns_topic_policy", attributes: attributes{"arn": name(), "policy": must(text), "owner": given(text)},
			fill: func(_ *session, v map[string]any) { v["id"], v["owner"] = v["arn"], AccountID }},
		{name: "aws_sns_topic_subscription", attributes: attributes{"topic_arn": name(), "protocol": name(), "endpoint": name(),
			"arn": given(text), "pending_confirmation": given(truth), "owner_id": given(text)},
			fill: func(_ *session, v map[string]any) {
				v["arn"] = fmt.Sprintf("%v:%x", v["topic_arn"], v["endpoint"])
				v["id"], v["pending_confirmation"], v["owner_id"] = v["arn"], true, AccountID
			}},
		{name: "aws_cloudwatch_metric_alarm", taggable: true, attributes: attributes{"alarm_name": name(), "alarm_description": may(text), "namespace": may(text),
			"metric_name": may(text), "dimensions": may(textMap), "statistic": may(text), "period": may(number), "evaluation_periods": must(number),
			"comparison_operator": must(text), "threshold": may(number), "treat_missing_data": or(text, "missing"), "datapoints_to_alarm": may(number),
			"unit": may(text), "actions_enabled": or(truth, true), "alarm_actions": may(texts), "ok_actions": may(texts),
			"insufficient_data_actions": may(texts), "arn": given(text)},
			fill: func(s *session, v map[string]any) {
				v["id"], v["arn"] = v["alarm_name"], s.arn(fmt.Sprintf("cloudwatch:%s:%s:alarm:%v", s.region, AccountID, v["alarm_name"]))
			}},
	}
}
