"""The `echo` service (RFC 862): what comes goes back."""

LONGEST = 2048
"""Bytes of a datagram that are returned; xinetd cuts off the rest."""


def reply(datagram: bytes) -> bytes:
    """Answer to *datagram*, also to an empty one."""
    return datagram[:LONGEST]
