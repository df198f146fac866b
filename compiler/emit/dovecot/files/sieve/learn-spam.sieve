require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

# A failure to teach must not look like a failure to move.
if environment :matches "imap.user" "*" {
  set "user" "${1}";
}
pipe :copy :try "mailplan-learn" ["spam", "${user}"];
