require ["environment", "vacation", "variables", "vnd.dovecot.environment"];

# What people set in the console comes with the user of a delivery, for as long as they are away; no script of theirs is
# touched, and what these do with a message changes nothing. Who is answered when, RFC 5230 says: nobody twice a week, no list,
# no bounce, and only who wrote to one of the addresses.
if environment :matches "vnd.dovecot.config.vacation_version" "?*" {
  vacation :days 7 :handle "console ${env.vnd.dovecot.config.vacation_version}"
    :subject "${env.vnd.dovecot.config.vacation_subject}"
    :addresses ["${env.vnd.dovecot.config.vacation_address1}", "${env.vnd.dovecot.config.vacation_address2}",
      "${env.vnd.dovecot.config.vacation_address3}", "${env.vnd.dovecot.config.vacation_address4}",
      "${env.vnd.dovecot.config.vacation_address5}", "${env.vnd.dovecot.config.vacation_address6}"]
    "${env.vnd.dovecot.config.vacation_body}";
}
