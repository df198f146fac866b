require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

# Junk that is thrown away is still junk.
if environment :matches "imap.mailbox" "*" {
  set "mailbox" "${1}";
}
if string "${mailbox}" "Trash" {
  stop;
}
if environment :matches "imap.user" "*" {
  set "user" "${1}";
}
pipe :copy :try "mailplan-learn" ["ham", "${user}"];
