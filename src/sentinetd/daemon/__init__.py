"""Wiring only: which room runs in which process, and what crosses between them."""
