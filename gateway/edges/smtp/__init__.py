"""What submission and inbound SMTP share: the session on aiosmtpd, readers, limits."""
