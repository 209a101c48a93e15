"""Connections from peers that announce somebody else: until the porter has read who that is, nothing is judged.

They count for nothing meanwhile. Nor does the bound hold for them on how many of one source may wait: a load balancer
is one source. Instead there is one for them all together, so that they leave room for other questions.
"""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.noun import dataclass
from sentinetd.model.verdict import Question
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.effects import Ask
from sentinetd.policy.services import Running

HEADER_WITHIN = 5.0
"""Seconds that a header may take; the specification wants at least 3, for one retransmission."""
GRACE = 2.0
"""Seconds more after which there is no answer, whatever the porter does."""
MOST = 512
"""Connections at once whose headers are awaited."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """*connection*, which came to *running*, has not announced anybody yet."""

    running: Running
    connection: Connection


class Announcing:
    """All that are awaited, by connection."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._awaited: dict[int, Awaited] = {}

    def __len__(self) -> int:
        return len(self._awaited)

    @property
    def full(self) -> bool:
        """Whether no more can be awaited."""
        return len(self._awaited) >= MOST

    def ask(self, running: Running, connection: Connection, peer: Address, now: float) -> Ask:
        """Have the porter read whom *peer* announces on *connection*."""
        self._agenda.add(now + HEADER_WITHIN + GRACE, Due.HEADER, connection.number)
        self._awaited[connection.number] = Awaited(running, connection)
        return Ask(connection, Question.PROXY, peer, HEADER_WITHIN)

    def take(self, number: int) -> Awaited | None:
        """The connection *number* is awaited no longer; None: it was not."""
        return self._awaited.pop(number, None)

    def leave(self, running: Running) -> list[Connection]:
        """All that came to *running*; they are awaited no longer."""
        left = [one.connection for one in self._awaited.values() if one.running is running]
        for connection in left:
            del self._awaited[connection.number]
        return left
