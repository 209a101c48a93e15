"""The table of cases. To add a case, add a row to the module of its subject."""

from __future__ import annotations

from differential.stage import Case
from differential.table import access, configuration, lifecycle, limits, listening, logging, sensors, serving, waiting

CASES: tuple[Case, ...] = (
    *serving.CASES,
    *waiting.CASES,
    *listening.CASES,
    *access.CASES,
    *limits.CASES,
    *configuration.CASES,
    *logging.CASES,
    *sensors.CASES,
    *lifecycle.CASES,
)
