"""Listeners and what is accepted at them; who else listens; which addresses are the host's own.

All of it runs in the guard: the standard library alone, nothing that waits, and no byte that a client sent is read.
"""
