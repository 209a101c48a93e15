"""Connections whose verdict waits for an answer of the porter; how many may wait, and for how long."""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass
from sentinetd.model.verdict import Question
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.services import Candidate, Running

ANSWER_WITHIN = 10.0
"""Seconds that the porter has for an answer."""
MOST = 1024
"""Connections that may wait for answers at once."""
MOST_OF_SOURCE = 16
"""The same, of one source."""


@dataclass(frozen=True, slots=True)
class Asked:
    """*question* was asked about *source*, from which *candidate* came; without an answer at *deadline* it has none."""

    candidate: Candidate
    question: Question
    source: Address
    deadline: float


class Waiting:
    """All that wait, by the number of their connection."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._asked: dict[int, Asked] = {}
        self._of_source: dict[Address, int] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def has_room(self, source: Address) -> bool:
        """Whether one more connection of *source* may wait."""
        return len(self._asked) < MOST and self._of_source.get(source, 0) < MOST_OF_SOURCE

    def put(self, candidate: Candidate, question: Question, source: Address, now: float) -> None:
        """*candidate* waits from *now* on."""
        number = candidate.connection.number
        deadline = self._agenda.add(now + ANSWER_WITHIN, Due.ANSWER, number)
        self._asked[number] = Asked(candidate, question, source, deadline)
        self._of_source[source] = self._of_source.get(source, 0) + 1

    def answered(self, number: int, question: Question) -> Candidate | None:
        """The candidate whose *question* was answered; it waits no longer. None: nobody waits for that answer."""
        asked = self._asked.get(number)
        return None if asked is None or asked.question is not question else self._take(asked)

    def overdue(self, number: int, now: float) -> Asked | None:
        """What the connection *number* asked, if it has waited too long; it waits no longer."""
        asked = self._asked.get(number)
        if asked is None or asked.deadline > now:
            return None
        self._take(asked)
        return asked

    def leave(self, running: Running) -> list[Candidate]:
        """All that waited to be served by *running*; they wait no longer."""
        return [self._take(asked) for asked in list(self._asked.values()) if asked.candidate.running is running]

    def _take(self, asked: Asked) -> Candidate:
        del self._asked[asked.candidate.connection.number]
        left = self._of_source[asked.source] - 1
        if left:
            self._of_source[asked.source] = left
        else:
            del self._of_source[asked.source]
        return asked.candidate
