"""An accepted stream, a waiting datagram, or a listener of a waiting service that became readable."""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Connection:
    """*number* is 64 bit and never used again in the life of a guard.

    *service* is the running service's number (not its id: ids need not be unique). *source* is None where the kernel
    does not tell it: a waiting stream service is handed its listener with nothing accepted. *local* and *local_port*
    are our end, where it matters which one it is (at sensors); None and 0 where nobody asked.
    """

    number: int
    service: int
    source: Address | None
    port: int = 0
    local: Address | None = None
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class Announced:
    """Whom a PROXY header names as the client: address and port. *source* None: whoever the connection comes from."""

    source: Address | None
    port: int
