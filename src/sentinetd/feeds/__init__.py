"""Lists of bans and reports of trips, kept current in files that others fetch."""
