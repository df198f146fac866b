require ["duplicate", "fileinto", "mailbox", "variables", "vnd.dovecot.execute"];

# The ingest gives every delivery a key, and takes such a field away from what senders wrote. A message that
# comes again because only its acknowledgement was lost ends here.
if duplicate :header "X-Mailplan-Delivery" :seconds 604800 {
  discard;
  stop;
}
# The mark of the test above is written after the message. If Dovecot died in between, or the ingest does not know how
# an earlier try ended, it says since when, and the mailbox itself is looked into.
if header :matches "X-Mailplan-Delivery" "*" {
  set "delivery" "${1}";
  if header :matches "X-Mailplan-Doubt" "*" {
    if execute "mailplan-learn" ["stored", "${delivery}", "${1}"] {
      discard;
      stop;
    }
  }
}
# Set by the ingest after the scan; senders' own X-Spam fields are taken away before.
if header :is "X-Spam" "Yes" {
  fileinto :create "Junk";
  stop;
}
