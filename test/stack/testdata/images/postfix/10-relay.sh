postconf -F '*/*/chroot=n'
postconf -e 'smtpd_relay_restrictions=permit_mynetworks,reject' inet_protocols=ipv4
