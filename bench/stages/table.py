"""All stages, in the order in which they run."""

from __future__ import annotations

from rounds import Stage
from stages import bans, day, internal, kernel, many, redirecting, refusing, spawning

STAGES: tuple[Stage, ...] = (
    spawning.STAGE,
    refusing.STAGE,
    internal.STAGE,
    redirecting.STAGE,
    redirecting.HOLDING,
    day.STAGE,
    many.STAGE,
    bans.STAGE,
    kernel.STAGE,
)
