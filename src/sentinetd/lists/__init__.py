"""Bans as lists that other programs read. A writer is a pure function from bans to lines; `table` has all there are."""
