"""Servers are made here: a small process that forks for the guard, the guard's side of it, a fallback in Python."""
