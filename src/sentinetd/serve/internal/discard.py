"""The `discard` service (RFC 863): what comes is thrown away."""


def reply(datagram: bytes) -> bytes | None:
    """Nothing answers *datagram*."""
    return None
