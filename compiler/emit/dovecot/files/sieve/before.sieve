require ["duplicate", "fileinto", "mailbox"];

# The ingest gives every delivery a key, and takes such a field away from what senders wrote. A message that
# comes again because only its acknowledgement was lost ends here.
if duplicate :header "X-Mailplan-Delivery" :seconds 604800 {
  discard;
  stop;
}
# Set by the ingest after the scan; senders' own X-Spam fields are taken away before.
if header :is "X-Spam" "Yes" {
  fileinto :create "Junk";
  stop;
}
