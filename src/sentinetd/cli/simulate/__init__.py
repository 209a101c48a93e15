"""Who would have been banned: a log or a scan (`text_logs`, `nmap`) becomes records, and the policy engine itself is
played with them (`replay`). Nothing here binds, bans or asks the kernel for more than its own addresses."""
