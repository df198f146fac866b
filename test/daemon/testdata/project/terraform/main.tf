resource "aws_s3_bucket" "backup" {
  bucket = "example"
}
