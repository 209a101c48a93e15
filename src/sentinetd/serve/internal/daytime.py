"""The `daytime` service (RFC 867) in the form xinetd gives it."""

import time

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def reply(now: float) -> bytes:
    """Local time at Unix time *now*: ``23 NOV 2026 08:33:37 UTC`` CR LF. The month is English in every locale."""
    at = time.localtime(now)
    text = f"{at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{text} {at.tm_zone}\r\n".encode("ascii", "replace")
