"""Moments as other programs write them."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST, LATEST = 0.0, 253_402_214_400.0
"""Unix times of the first and the last moment that are told; others are told as these. Four digits of a year end in
9999, and whoever reads us may count seconds from 1970 without a sign."""


def rfc3339(at: float) -> str:
    """Unix time *at* in UTC with microseconds, as ``2026-11-23T08:33:37.250000Z`` (RFC 3339)."""
    return datetime.fromtimestamp(bounded(at), UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def bounded(at: float) -> float:
    """Unix time *at*, if it is one that can be told, else the nearest that can; not a number is the earliest."""
    return min(max(EARLIEST, at), LATEST)
