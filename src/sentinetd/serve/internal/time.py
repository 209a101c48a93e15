"""The `time` service (RFC 868)."""

EPOCH_1900 = 2_208_988_800  # seconds from 1900-01-01 to 1970-01-01 (RFC 868)


def reply(now: float) -> bytes:
    """Seconds since 1900 at Unix time *now*: 4 bytes, big-endian, modulo 2**32."""
    return ((int(now) + EPOCH_1900) & 0xFFFFFFFF).to_bytes(4, "big")
