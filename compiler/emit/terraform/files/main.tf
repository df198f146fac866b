
# ---- the bucket ----------------------------------------------------------------------------------------

resource "aws_s3_bucket" "backup" {
  bucket = var.bucket

  # Object Lock and versioning go on with the bucket and never off again. Destroying it would fail until the
  # last lock ends, and half of what stands here would be gone by then.
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "backup" {
  bucket = aws_s3_bucket.backup.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  # For whatever comes without a date of its own. In mode COMPLIANCE nobody can shorten it, the owner of the
  # account included.
  rule {
    default_retention {
      mode = var.lock_mode
      days = var.lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.backup]
}

resource "aws_s3_bucket_lifecycle_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  # Nobody else deletes: the backup user may not. A locked version stays until its date whatever stands here.
  rule {
    id     = "expire"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    expiration {
      days = var.expire_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    # Parts of an upload that never ended are paid for and not locked.
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  # A rule with days cannot have this, too.
  rule {
    id     = "delete-markers"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  depends_on = [aws_s3_bucket_versioning.backup]
}

resource "aws_s3_bucket_ownership_controls" "backup" {
  bucket = aws_s3_bucket.backup.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "backup" {
  bucket = aws_s3_bucket.backup.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# The second envelope: what comes is encrypted to the age recipients already.
resource "aws_s3_bucket_server_side_encryption_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.backup.arn, "${aws_s3_bucket.backup.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "OnlyTLS12"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.backup.arn, "${aws_s3_bucket.backup.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = ["1.2"]
    }
  }

  # A new version over an old one would hide it. Every upload says that there must be none (If-None-Match).
  statement {
    sid       = "NeverOverwrite"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.backup.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.backup.arn]
    }

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["true"]
    }
  }
}

resource "aws_s3_bucket_policy" "backup" {
  bucket = aws_s3_bucket.backup.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.backup]
}

# ---- the user that writes backups ----------------------------------------------------------------------

# Its keys are made by hand (docs/operations.md): made here, the secret would stand in the state.
resource "aws_iam_user" "backup" {
  name = "${var.bucket}-writer"
  path = "/mailplan/"
}

resource "aws_iam_user_policy" "backup" {
  name   = "backup"
  user   = aws_iam_user.backup.name
  policy = data.aws_iam_policy_document.backup.json
}

data "aws_iam_policy_document" "backup" {
  # Each upload has its own date, the end of its week's generation plus lock_days, which takes
  # PutObjectRetention. How far that right goes stands below.
  statement {
    sid       = "Add"
    actions   = ["s3:PutObject", "s3:PutObjectRetention"]
    resources = ["${aws_s3_bucket.backup.arn}/${var.prefix}*"]
  }

  # Verifying and restoring: without GetObjectRetention the answer leaves the lock out.
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"]
    resources = ["${aws_s3_bucket.backup.arn}/${var.prefix}*"]
  }

  # Finding backups on a new host, a 404 instead of a 403 for what is not there, and refusing a bucket that
  # does not lock.
  statement {
    sid = "Look"
    actions = [
      "s3:ListBucket",
      "s3:ListBucketVersions",
      "s3:GetBucketVersioning",
      "s3:GetBucketObjectLockConfiguration",
    ]
    resources = [aws_s3_bucket.backup.arn]
  }

  # Said although nothing above allows it: a policy added later does not change it.
  statement {
    sid    = "NeverRemove"
    effect = "Deny"
    actions = [
      "s3:Delete*",
      "s3:BypassGovernanceRetention",
      "s3:PutBucket*",
      "s3:PutEncryptionConfiguration",
      "s3:PutLifecycleConfiguration",
      "s3:PutObjectAcl",
      "s3:PutObjectLegalHold",
      "s3:PutObjectVersionAcl",
      "s3:PutReplicationConfiguration",
    ]
    resources = ["*"]
  }

  # A date of its own wins over the bucket's, also a nearer one.
  statement {
    sid       = "NeverShorter"
    effect    = "Deny"
    actions   = ["s3:PutObject", "s3:PutObjectRetention"]
    resources = ["${aws_s3_bucket.backup.arn}/*"]

    condition {
      test     = "NumericLessThan"
      variable = "s3:object-lock-remaining-retention-days"
      values   = [tostring(var.lock_days - 1)]
    }
  }

  # Whoever steals the key could lock rubbish for a hundred years, at the owner's cost.
  statement {
    sid       = "NeverMuchLonger"
    effect    = "Deny"
    actions   = ["s3:PutObject", "s3:PutObjectRetention"]
    resources = ["${aws_s3_bucket.backup.arn}/*"]

    condition {
      test     = "NumericGreaterThan"
      variable = "s3:object-lock-remaining-retention-days"
      values   = [tostring(var.lock_days + 8)]
    }
  }

  statement {
    sid       = "NeverInAnotherMode"
    effect    = "Deny"
    actions   = ["s3:PutObject", "s3:PutObjectRetention"]
    resources = ["${aws_s3_bucket.backup.arn}/*"]

    # Without a mode the bucket's own holds; StringNotEquals alone would also be true then.
    condition {
      test     = "Null"
      variable = "s3:object-lock-mode"
      values   = ["false"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:object-lock-mode"
      values   = [var.lock_mode]
    }
  }
}

# ---- alarms --------------------------------------------------------------------------------------------

# An alarm reaches topics of its own region only, and the cost of the account is known in us-east-1 only.
# The topics are not encrypted with KMS: CloudWatch cannot use the key that costs nothing, one of one's own
# costs as much as the copies, and that a backup is late is no secret.
resource "aws_sns_topic" "alerts" {
  name = "${var.bucket}-alerts"
}

resource "aws_sns_topic" "cost" {
  provider = aws.billing
  name     = "${var.bucket}-cost"
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "topic" {
  for_each = {
    alerts = aws_sns_topic.alerts.arn
    cost   = aws_sns_topic.cost.arn
  }

  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [each.value]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [each.value]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.topic["alerts"].json
}

resource "aws_sns_topic_policy" "cost" {
  provider = aws.billing
  arn      = aws_sns_topic.cost.arn
  policy   = data.aws_iam_policy_document.topic["cost"].json
}

# Each address gets a mail that must be answered once, else no alarm arrives.
resource "aws_sns_topic_subscription" "alerts" {
  count = var.alert_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

resource "aws_sns_topic_subscription" "cost" {
  count    = var.alert_email == "" ? 0 : 1
  provider = aws.billing

  topic_arn = aws_sns_topic.cost.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

# Billing alerts must be switched on once by hand in the account's billing preferences.
resource "aws_cloudwatch_metric_alarm" "cost" {
  provider = aws.billing

  alarm_name          = "${var.bucket}-cost"
  alarm_description   = "This month's estimated charges of the account are above ${var.monthly_cost_usd} USD."
  namespace           = "AWS/Billing"
  metric_name         = "EstimatedCharges"
  dimensions          = { Currency = "USD" }
  statistic           = "Maximum"
  period              = 21600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.monthly_cost_usd
  alarm_actions       = [aws_sns_topic.cost.arn]
  ok_actions          = [aws_sns_topic.cost.arn]
}

# A snapshot's own files are sent last: one arriving means a whole backup.
resource "aws_s3_bucket_metric" "snapshots" {
  bucket = aws_s3_bucket.backup.id
  name   = "snapshots"

  filter {
    prefix = "${var.prefix}snapshots/"
  }
}

resource "aws_cloudwatch_metric_alarm" "no_new_backup" {
  alarm_name          = "${var.bucket}-no-new-backup"
  alarm_description   = "No backup has arrived in ${var.bucket} for ${var.deadline_hours} hours."
  namespace           = "AWS/S3"
  metric_name         = "PutRequests"
  dimensions          = { BucketName = aws_s3_bucket.backup.id, FilterId = aws_s3_bucket_metric.snapshots.name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = var.deadline_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  # Hours without a request have no data at all.
  treat_missing_data = "breaching"
  alarm_actions      = [aws_sns_topic.alerts.arn]
  ok_actions         = [aws_sns_topic.alerts.arn]
}

# What is locked is paid for to the end, so growth that nobody meant must be seen soon.
resource "aws_cloudwatch_metric_alarm" "size" {
  alarm_name          = "${var.bucket}-size"
  alarm_description   = "The copies in ${var.bucket} are larger than ${var.max_size_gb} GB."
  namespace           = "AWS/S3"
  metric_name         = "BucketSizeBytes"
  dimensions          = { BucketName = aws_s3_bucket.backup.id, StorageType = "StandardStorage" }
  statistic           = "Maximum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.max_size_gb * 1000000000
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
