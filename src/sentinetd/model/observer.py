"""Who saw an event: what a message says of its sender."""

from __future__ import annotations

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """The daemon of *host* (its name, as uname(2) has it), called *ident*, process *pid*, of *version*.

    *enterprise* is the private enterprise number under which structured data is named (RFC 5424 section 7.2.2);
    32473 is the one for documentation (RFC 5612). *facility* is syslog's, by name.
    """

    host: str
    ident: str
    pid: int
    version: str
    enterprise: int = 32473
    facility: str = "daemon"
