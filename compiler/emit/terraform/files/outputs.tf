
output "bucket" {
  description = "Where the copies are."
  value       = aws_s3_bucket.backup.id
}

output "bucket_arn" {
  description = "The bucket, for policies of other accounts."
  value       = aws_s3_bucket.backup.arn
}

output "backup_user" {
  description = "Writes the copies. Its two keys are made and rotated by hand: aws iam create-access-key --user-name NAME."
  value       = aws_iam_user.backup.name
}

output "alert_topics" {
  description = "Where the alarms go, in both regions."
  value       = [aws_sns_topic.alerts.arn, aws_sns_topic.cost.arn]
}
