"""Refused clients that are kept on the line until it is known who they are, for the service's log alone.

An ident server tells only of connections that are open (RFC 1413), so a refused one stays open until the answer comes,
and no longer. It counts for nothing meanwhile, and no answer admits it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import UserFound
from sentinetd.model.noun import dataclass
from sentinetd.model.verdict import Question
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.effects import Ask, Effect, Refuse, Report
from sentinetd.policy.inputs import Moment
from sentinetd.policy.services import Running
from sentinetd.policy.waiting import ANSWER_WITHIN

LOG_PROCS = 15
"""Look-ups for refused clients at once, unless option -logprocs says otherwise (xinetd's number)."""


@dataclass(frozen=True, slots=True)
class _Suspect:
    """*connection*, refused by *running*, is asked about."""

    running: Running
    connection: Connection
    source: Address


class Suspects:
    """All that are kept, by connection; at most *most* of them."""

    def __init__(self, agenda: Agenda, most: int) -> None:
        self._agenda = agenda
        self._most = most
        self._kept: dict[int, _Suspect] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def refuse(
        self, running: Running, connection: Connection, answers: Mapping[Question, str | None], now: Moment
    ) -> Iterator[Effect]:
        """Refuse *connection*, of which *answers* are known: at once, or when the answer to what is asked now comes."""
        source = connection.source
        if source is None or Question.USER in answers or len(self._kept) >= self._most:
            if source is not None and (user := answers.get(Question.USER)) is not None:
                yield _found(running, source, user, now)
            yield Refuse(connection)
            return
        self._agenda.add(now.now + ANSWER_WITHIN, Due.IDENTITY, connection.number)
        self._kept[connection.number] = _Suspect(running, connection, source)
        yield Ask(connection, Question.REFUSED_USER, source, ANSWER_WITHIN)

    def answered(self, number: int, user: str | None, now: Moment) -> Iterator[Effect]:
        """It was found out who owns the connection *number*; None: it was not, or not in time."""
        suspect = self._kept.pop(number, None)
        if suspect is None:
            return
        if user is not None:
            yield _found(suspect.running, suspect.source, user, now)
        yield Refuse(suspect.connection)

    def leave(self, running: Running, now: Moment) -> Iterator[Effect]:
        """*running* stops: hang up on all whom it refused."""
        for number in [one.connection.number for one in self._kept.values() if one.running is running]:
            yield from self.answered(number, None, now)


def _found(running: Running, source: Address, user: str, now: Moment) -> Report:
    return Report(UserFound(now.wall, running.number, running.service.id, source, user))
