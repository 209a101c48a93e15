"""Questions answered in the porter: who a source is by name, by user, by the tables of hosts_access(5)."""
