"""What the porter carries out for a connection, and how that ended."""

from __future__ import annotations

from enum import Enum


class Routine(Enum):
    """The internal stream services that read what a client sends or write for as long as it likes."""

    ECHO = "echo"
    DISCARD = "discard"
    CHARGEN = "chargen"


class Ending(Enum):
    """Why the porter let go of a connection."""

    CLOSED = "closed"
    """Both sides have said all they had to say."""
    RESET = "reset"
    """A side broke the connection; the error tells how."""
    UNREACHABLE = "unreachable"
    """The target of a redirect could not be found or would not connect; the error tells how."""
    TIMEOUT = "timeout"
    """Nothing moved for as long as was allowed, or what was asked for did not come in time."""
    REFUSED = "refused"
    """The client asked for what there is not: a multiplexed service without such a name, a line too long."""
    STOPPED = "stopped"
    """The guard ordered it."""
    FULL = "full"
    """The porter holds as many connections as it can."""
