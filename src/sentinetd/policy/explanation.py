"""Would a source be admitted, and which line of which file says no: the chain of `checks`, looked at and not walked.

Nothing is counted, nobody is asked: what only the network could answer is named instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from sentinetd.model.address import BITS, Address, AddressSet, Network
from sentinetd.model.address_words import address_list
from sentinetd.model.attribute import BadValue
from sentinetd.model.connection import Connection
from sentinetd.model.service import Service
from sentinetd.model.state import Explanation, Standing
from sentinetd.model.values import Place
from sentinetd.model.verdict import ADMITTED, Question, Unknown, Verdict
from sentinetd.policy.bans import Bans
from sentinetd.policy.checks import CHAIN, NO_ANSWERS, Facts
from sentinetd.policy.inputs import Moment
from sentinetd.policy.services import Running, whose

NOWHERE = Place("", 0)


def explained(
    running: Running, source: Address, bans: Bans, processes: int, limit: int | None, now: Moment
) -> Explanation:
    """What would become of *source* at the service *running* now. *processes* run in all, of at most *limit*."""
    service = running.service
    banned = bans.ledger.holds(source, now.now)
    facts = Facts(
        now.minute,
        now.load,
        (banned or service.sensor) and bans.exempt(source, service),
        banned,
        running.reopens is None and running.bucket.has_room(now.now),
        running.counts.total,
        running.counts.of(source),
        processes,
        limit,
        NO_ANSWERS,
        running.paces is None or running.paces.would_take(whose(source), now.now),
        now.tables,
    )
    verdict, asks = _looked_at(service, Connection(0, running.number, source), facts)
    if running.peers is not None and source in running.peers:
        asks.insert(0, Question.PROXY.value)  # whom it announces is judged; this is for itself
    word, place = _written(service, verdict, source)
    return Explanation(
        service.id, service.port, verdict.allow, verdict.reason.value, verdict.attribute, word, place.file, place.line,
        " ".join(asks),
    )  # fmt: skip


def _looked_at(service: Service, connection: Connection, facts: Facts) -> tuple[Verdict, list[str]]:
    """The first objection that no answer could take back, and the questions before it."""
    asks: list[str] = []
    for check in CHAIN:
        objection = check(service, connection, facts)
        if isinstance(objection, Unknown):
            asks.append(objection.question.value)
        elif objection is not None:
            return objection, asks
    return ADMITTED, asks


def _written(service: Service, verdict: Verdict, source: Address) -> tuple[str, Place]:
    """The word of the configuration that decided, and where it stands: the word, its attribute, or the entry."""
    if not verdict.attribute:
        return "", NOWHERE
    word = verdict.word
    lists = {"only_from": service.only_from, "no_access": service.no_access}
    if not word and verdict.attribute in lists:
        word = _narrowest(_words(service, verdict.attribute), source, lists[verdict.attribute])
    place = service.places.get(f"{verdict.attribute} {word}") or service.places.get(verdict.attribute)
    return word, place or service.places.get("", NOWHERE)


def _words(service: Service, attribute: str) -> list[str]:
    """The words of a list as they are written."""
    return [key.partition(" ")[2] for key in service.places if key.startswith(f"{attribute} ")]


def _narrowest(words: Iterable[str], source: Address, meant: AddressSet) -> str:
    """The word that matches *source* as narrowly as the whole list *meant* does; "" if none does by itself."""
    length = meant.longest_match(source)
    if length is None:
        return ""
    for word in words:
        try:
            found = address_list([word])
        except BadValue:
            continue  # a name of networks(5) in a form that only the host's table explains
        if found.longest_match(source) == length:
            return word
    return ""


def standing(source: Address, bans: Bans, now: Moment) -> Standing:
    """What holds for *source* everywhere."""
    covering: Network | None = None
    latest = now.now
    for length in range(BITS[source.version] + 1):
        network = Network.of(source, length)
        until = bans.ledger.until(network)
        if until is not None and until > latest:
            covering, latest = network, until
    if covering is None:
        return Standing(source.text, source in bans.exemptions.everywhere, "", None)
    ends = None if latest == float("inf") else now.wall + latest - now.now
    return Standing(source.text, source in bans.exemptions.everywhere, str(covering), ends)
