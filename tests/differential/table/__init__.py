"""The table of cases. To add a case, add a row to the module of its subject."""

from __future__ import annotations

from differential.stage import Case
from differential.table import (
    access,
    banners,
    configuration,
    elsewhere,
    identity,
    inetd,
    internal,
    lifecycle,
    limits,
    listening,
    logging,
    multiplexer,
    ours,
    rates,
    redirecting,
    sensors,
    serving,
    starting,
    waiting,
    wrappers,
)

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
    *internal.CASES,
    *multiplexer.CASES,
    *redirecting.CASES,
    *wrappers.CASES,
    *banners.CASES,
    *identity.CASES,
    *rates.CASES,
    *ours.CASES,
    *inetd.CASES,
    *elsewhere.CASES,
    *starting.CASES,
)
